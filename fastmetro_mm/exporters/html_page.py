# SPDX-License-Identifier: Apache-2.0
"""The page of the report: style, frame and script. It loads nothing from anywhere."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{mark}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<div id="chooser"{chooser_hidden}><label>Frame <output id="number">1</output> of {count}
<input id="frame" type="range" min="0" max="{last}" value="0"></label></div>
<main>
<section id="scene"><h2>Scene</h2>
<canvas id="view" class="view" tabindex="0" aria-label="3D view of the people: drag to turn,
wheel to zoom, shift-drag to move, arrow keys to turn"></canvas>
<p class="bar"><button type="button" data-view="front">Front</button>
<button type="button" data-view="side">Side</button>
<button type="button" data-view="back">Back</button>
<button type="button" data-view="top">Top</button>
<span class="hint">drag: turn &middot; wheel: zoom &middot; shift-drag: move</span></p>
</section>
<div id="frames">
{frames}
</div>
</main>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --line: #8885; --panel: #8881; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.2rem auto; max-width: 1400px;
  padding: 0 1rem; }
h1 { font-size: 1.35rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
main { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
figure { margin: 0 0 .9rem; }
img { max-width: 100%; height: auto; display: block; border-radius: 6px; }
figcaption, .hint { font-size: .85rem; opacity: .75; }
.bar { margin: .5rem 0; }
#chooser { margin-bottom: .8rem; }
#frame { width: 100%; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left;
  white-space: nowrap; }
.chip { display: inline-block; width: .8em; height: .8em; border-radius: 50%; }
"""

SCRIPT = r"""
const report = JSON.parse(document.getElementById('data').textContent);
const viewer = createViewer(document.getElementById('view'));
const faceSets = report.faces.map(text => decode(text, Uint16Array));
let boxes = [], people = [];

function loadFrame(index) {
  people = report.frames[index].people.map(person => {
    const vertices = decode(person.vertices, Float32Array), faces = faceSets[person.faces];
    return {vertices, faces, normals: normalsOf(vertices, faces), color: person.color};
  });
  boxes = [...document.querySelectorAll(`#frame_${index} input[data-person]`)];
  const articles = document.querySelectorAll('#frames > article');
  articles.forEach((part, i) => { part.hidden = i !== index; });
  document.getElementById('number').value = index + 1;
  viewer.show(people, index, true);
  choosePeople();
}

function choosePeople() {
  for (const box of boxes) people[+box.dataset.person].shown = box.checked;
  viewer.redraw();
}

viewer.listen();
for (const button of document.querySelectorAll('button[data-view]')) {
  button.addEventListener('click', () => viewer.look(button.dataset.view));
}
for (const box of document.querySelectorAll('input[data-person]')) {
  box.addEventListener('change', choosePeople);
}
document.getElementById('frame').addEventListener('input', event => loadFrame(+event.target.value));
loadFrame(0);
"""
