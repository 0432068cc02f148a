// The page: sends a file, follows its job, shows its frames, fetches its files. No libraries.
'use strict';

const $ = id => document.getElementById(id);
const scene = createViewer($('view')), overlay = createViewer($('overlay'));
const PAUSE = 400;  // ms between two questions about a job
let about = null, faceSets = [];
let job = null;        // as the server tells it
let turn = 0;          // counts jobs: answers for an older one are dropped
let shown = -1;        // frame on the screen
let meshes = [];       // its people, for the viewers
let wanted = null;     // frame that was asked for while another was on its way
let fetching = false, fitted = false, playing = null;
const leftOut = new Set();  // numbers of people who are not picked

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) {
    let text = `${answer.status} ${answer.statusText}`;
    try { text = (await answer.json()).error || text; } catch { /* not JSON */ }
    throw Object.assign(new Error(text), {status: answer.status});
  }
  return answer;
}

const pause = time => new Promise(done => setTimeout(done, time));
const address = part => `/api/jobs/${job.id}${part}`;
const rgb = color => `rgb(${color.map(part => Math.round(255 * part)).join()})`;

function say(text, failed = false, share = null) {
  $('status').hidden = !text;
  $('status').classList.toggle('failed', failed);
  $('message').textContent = text;
  $('progress').hidden = failed || !text;
  if (share === null) $('progress').removeAttribute('value');
  else $('progress').value = share;
  $('cancel').hidden = failed || !text;
}

async function send(file) {
  if (about && file.size > about.limits.upload_bytes) {
    say(`${file.name} has more than ${about.limits.upload_bytes} bytes`, true);
    return;
  }
  await forget();
  const mine = turn;
  say(`sending ${file.name} ...`);
  const query = new URLSearchParams({name: file.name, smooth: $('smooth').checked});
  try {
    const answer = await ask(`/api/jobs?${query}`, {method: 'POST', body: file,
      headers: {'content-type': 'application/octet-stream'}});
    const made = await answer.json();
    if (mine !== turn) return;
    job = made;
    location.hash = `job=${job.id}`;
    await follow();
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

async function forget() {  // the job before; also what Cancel does
  turn++;
  stop();
  const old = job;
  job = null;
  shown = -1;
  wanted = null;
  fitted = false;
  leftOut.clear();
  show([], {people: [], size: [1, 1], intrinsics: null});
  $('result').hidden = true;
  $('notes').replaceChildren();
  $('saved').textContent = '';
  history.replaceState(null, '', location.pathname);
  say('');
  if (old) await ask(`/api/jobs/${old.id}`, {method: 'DELETE'}).catch(() => {});
}

async function follow() {
  const mine = turn;
  while (mine === turn) {
    tell();
    if (job.frames_done && shown < 0) await go(0);
    if (job.state === 'done' || job.state === 'failed') return;
    await pause(PAUSE);
    const next = await (await ask(address(''))).json();
    if (mine === turn) job = next;
  }
}

function tell() {
  const {state, frames_done: done, frames} = job;
  if (state === 'failed') say(`${job.name}: ${job.error}`, true);
  else if (state === 'done') say('');
  else if (state === 'waiting') say(`${job.name}: waiting for its turn`);
  else say(`${job.name}: ${done} of ${frames ?? '?'} frames`, false, frames ? done / frames : null);
  $('name').textContent = job.name;
  $('result').hidden = !done;
  $('scrub').hidden = job.kind !== 'video';
  $('frame').max = Math.max(0, done - 1);
  $('notes').replaceChildren(...job.notes.map(text => item('li', text)));
  showPeople();
  showFiles(state);
}

function item(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function showPeople() {
  const list = $('people');
  const known = new Map([...list.children].map(row => [+row.dataset.number, row]));
  const rows = job.people.map(({number, frames, color}) => {
    const row = known.get(number) ?? item('li', '');
    if (!known.has(number)) {
      row.dataset.number = number;
      const label = item('label', ''), box = item('input', ''), chip = item('span', '');
      box.type = 'checkbox';
      box.checked = !leftOut.has(number);
      box.dataset.person = number;
      box.addEventListener('change', () => pick(number, box.checked));
      chip.className = 'chip';
      chip.style.background = rgb(color);
      label.append(box, ' ', chip, item('span', ''));
      row.append(label);
    }
    row.querySelector('label > span:last-child').textContent =
      ` person ${number}` + (job.kind === 'video' ? `, in ${frames} frames` : '');
    return row;
  });
  list.replaceChildren(...rows.length ? rows : [item('li', 'nobody yet')]);
}

function pick(number, isPicked) {
  if (isPicked) leftOut.delete(number); else leftOut.add(number);
  for (const box of document.querySelectorAll(`input[data-person="${number}"]`)) {
    box.checked = isPicked;
  }
  applyPicks();
  showFiles(job.state);
}

function applyPicks() {
  for (const mesh of meshes) mesh.shown = !leftOut.has(mesh.number);
  for (const box of $('boxes').children) {
    box.classList.toggle('out', leftOut.has(+box.dataset.number));
  }
  scene.redraw();
  overlay.redraw();
}

function showFiles(state) {
  const ended = state === 'done' || state === 'failed';
  const anybody = job.people.some(({number}) => !leftOut.has(number));
  const buttons = (about?.formats ?? []).map(kind => {
    const button = item('button', kind);
    button.type = 'button';
    button.dataset.kind = kind;
    button.disabled = !ended || !anybody;
    button.addEventListener('click', () => save(kind, button));
    return button;
  });
  if ($('files').childElementCount !== buttons.length) $('files').replaceChildren(...buttons);
  else [...$('files').children].forEach((b, i) => { b.disabled = buttons[i].disabled; });
}

async function save(kind, button) {
  const chosen = job.people.map(person => person.number).filter(n => !leftOut.has(n));
  const all = chosen.length === job.people.length;
  $('saved').textContent = `making ${kind} ...`;
  button.disabled = true;
  try {
    const query = new URLSearchParams({lod: $('lod').value, floor: $('floor').checked,
      foot_lock: $('foot_lock').checked});
    if (!all) query.set('people', chosen.join());
    const answer = await ask(address(`/files/${kind}?${query}`));
    const named = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') ?? '');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = named ? named[1] : `${kind}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    $('saved').textContent = `saved ${link.download}`;
  } catch (error) {
    $('saved').textContent = `${kind}: ${error.message}`;
  }
  button.disabled = false;
}

async function go(frame) {  // one request at a time; of those that wait the last one counts
  wanted = frame;
  if (fetching) return;
  fetching = true;
  const mine = turn;
  try {
    while (wanted !== null && mine === turn) {
      const index = wanted;
      wanted = null;
      const [content] = await Promise.all([
        ask(address(`/frames/${index}`)).then(answer => answer.json()), loadImage(index)]);
      if (mine !== turn) break;
      shown = index;
      $('frame').value = index;
      const time = content.time === null ? '' : `, ${content.time.toFixed(2)} s`;
      $('time').textContent = `frame ${index + 1}${time}`;
      show(content.people.filter(person => person.vertices).map(mesh), content);
    }
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
  fetching = false;
  if (wanted !== null && job) go(wanted);
}

async function loadImage(index) {
  const blob = await (await ask(address(`/frames/${index}/image`))).blob();
  const old = $('image').src;
  $('image').src = URL.createObjectURL(blob);
  await $('image').decode().catch(() => {});
  if (old) URL.revokeObjectURL(old);
}

function mesh({number, color, faces, vertices: text}) {
  const vertices = decode(text, Float32Array), triangles = faceSets[faces];
  return {number, color, vertices, faces: triangles, normals: normalsOf(vertices, triangles),
    shown: !leftOut.has(number)};
}

function show(list, {people, size: [width, height], intrinsics}) {
  meshes = list;
  const svg = $('boxes');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.replaceChildren(...people.map(({number, box: [x1, y1, x2, y2], color}) => {
    const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    const values = {x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: rgb(color)};
    for (const [name, value] of Object.entries(values)) rect.setAttribute(name, value);
    rect.dataset.number = number;
    rect.addEventListener('click', () => pick(number, leftOut.has(number)));
    return rect;
  }));
  // The scene stays where it is while a video moves through it.
  const fit = !fitted && meshes.length > 0;
  fitted = fitted || fit;
  $('result').hidden = !job?.frames_done;
  scene.show(meshes, Math.max(shown, 0), fit);
  if (intrinsics) {
    const [[fx, , cx], [, fy, cy]] = intrinsics;
    overlay.lookThrough({fx, fy, cx, cy, width, height});
  }
  overlay.show(meshes, Math.max(shown, 0), true);
  applyPicks();
}

function stop() {
  clearInterval(playing);
  playing = null;
  $('play').textContent = 'Play';
}

function play() {
  if (playing) { stop(); return; }
  $('play').textContent = 'Stop';
  const times = job.times, first = shown + 1 < times.length ? shown + 1 : 0;
  const begin = performance.now() - 1000 * (times[first] ?? 0);
  playing = setInterval(() => {
    const now = (performance.now() - begin) / 1000;
    const next = times.findLastIndex(time => time <= now);
    if (next > shown || next < first) go(Math.max(next, first));
    if (next >= times.length - 1) stop();
  }, 40);
  go(first);
}

async function start() {
  scene.listen();
  about = await (await ask('/api/about')).json();
  $('lod').replaceChildren(...about.levels.map(count => item('option', count)));
  for (const name of ['floor', 'foot_lock']) {  // of hands there are no files of motion
    $(name).closest('label').hidden = !about.formats.includes('bvh');
  }
  faceSets = about.faces.map(text => decode(text, Uint16Array));
  const known = /^#job=([\w-]+)$/.exec(location.hash);
  if (known) {  // a page that was loaded again
    try {
      job = await (await ask(`/api/jobs/${known[1]}`)).json();
      await follow();
    } catch (error) {
      history.replaceState(null, '', location.pathname);
      if (error.status !== 404) throw error;
    }
  }
}

$('file').addEventListener('change', () => {
  const [file] = $('file').files;
  $('file').value = '';
  if (file) send(file);
});
$('drop').addEventListener('keydown', event => {
  if (event.key === 'Enter' || event.key === ' ') $('file').click();
});
for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    $('drop').classList.toggle('over', kind === 'dragover');
    if (kind === 'drop' && event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
}
$('cancel').addEventListener('click', forget);
$('meshes').addEventListener('change', () => { $('overlay').hidden = !$('meshes').checked; });
$('floor').addEventListener('change', () => {
  $('foot_lock').disabled = !$('floor').checked;
  $('foot_lock').checked = $('foot_lock').checked && $('floor').checked;
});
$('frame').addEventListener('input', event => { stop(); go(+event.target.value); });
$('play').addEventListener('click', play);
for (const button of document.querySelectorAll('button[data-view]')) {
  button.addEventListener('click', () => scene.look(button.dataset.view));
}
start().catch(error => say(error.message, true));
