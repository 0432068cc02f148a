# SPDX-License-Identifier: Apache-2.0
"""The 3D view of our pages, in JavaScript: WebGL, or a plain canvas where there is none.

``createViewer(canvas)`` gives a view of people, each ``{vertices, faces, normals, color}`` in the
axes of glTF (x right, y up, z towards the viewer; metres) and hidden with ``shown: false``. Used
by the report and by the page of ``fastmetro serve``.
"""

STYLE = """
canvas.view { width: 100%; aspect-ratio: 1; display: block; border: 1px solid var(--line);
  border-radius: 6px; background: var(--panel); cursor: grab; touch-action: none; }
"""

VIEWER = r"""
'use strict';

function decode(text, Type) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

function normalsOf(v, f) {
  const n = new Float32Array(v.length);
  for (let i = 0; i < f.length; i += 3) {
    const a = 3 * f[i], b = 3 * f[i + 1], c = 3 * f[i + 2];
    const ux = v[b] - v[a], uy = v[b + 1] - v[a + 1], uz = v[b + 2] - v[a + 2];
    const wx = v[c] - v[a], wy = v[c + 1] - v[a + 1], wz = v[c + 2] - v[a + 2];
    const x = uy * wz - uz * wy, y = uz * wx - ux * wz, z = ux * wy - uy * wx;
    for (const k of [a, b, c]) { n[k] += x; n[k + 1] += y; n[k + 2] += z; }
  }
  for (let i = 0; i < n.length; i += 3) {
    const length = Math.hypot(n[i], n[i + 1], n[i + 2]) || 1;
    n[i] /= length; n[i + 1] /= length; n[i + 2] /= length;
  }
  return n;
}

function createViewer(canvas) {
  const light = [0.30, 0.45, 0.84];
  const fieldOfView = 2.4;  // focal length in half heights
  const views = {front: [0, 0], side: [-Math.PI / 2, 0], back: [Math.PI, 0],
    top: [0, Math.PI / 2]};
  const state = {frame: 0, yaw: 0, pitch: 0, zoom: 1, moveX: 0, moveY: 0};
  let people = [], center = [0, 0, 0], radius = 1, waiting = false, camera = null;

  function rotation() {  // row-major: pitch after yaw
    const cy = Math.cos(state.yaw), sy = Math.sin(state.yaw);
    const cp = Math.cos(state.pitch), sp = Math.sin(state.pitch);
    return [cy, 0, sy, sp * sy, cp, -sp * cy, -cp * sy, sp, cp * cy];
  }

  // A point p is seen at (lens[0] x / w + lens[2], lens[1] y / w + lens[3]), each from -1 to 1,
  // where x, y, z = turn (p - center) + move and w = away - z.
  function orbit(aspect) {
    const away = 2.6 * radius / state.zoom;
    return {turn: rotation(), center, move: [state.moveX, state.moveY], away,
      lens: [fieldOfView / aspect, fieldOfView, 0, 0],
      near: Math.max(away - 1.5 * radius, 0.01 * radius), far: away + 1.5 * radius};
  }

  function throughCamera() {  // the image's own; radius reaches around the people
    const {fx, fy, cx, cy, width, height} = camera, depth = -center[2];
    return {turn: [1, 0, 0, 0, 1, 0, 0, 0, 1], center: [0, 0, 0], move: [0, 0], away: 0,
      lens: [2 * fx / width, 2 * fy / height, 2 * cx / width - 1, 1 - 2 * cy / height],
      near: Math.max(depth - 1.5 * radius, 0.05), far: depth + 1.5 * radius};
  }

  function glPainter(gl) {
    const vertexSource = `attribute vec3 position, normal; uniform mat3 turn; uniform vec3 center;
      uniform vec2 move, depth; uniform vec4 lens; uniform float away; varying vec3 side;
      void main() { vec3 p = turn * (position - center); p.xy += move; side = turn * normal;
        float w = away - p.z;
        gl_Position = vec4(lens.xy * p.xy + lens.zw * w,
          (w * (depth.y + depth.x) - 2.0 * depth.x * depth.y) / (depth.y - depth.x), w); }`;
    const pixelSource = `precision mediump float; varying vec3 side; uniform vec3 color, light;
      void main() { gl_FragColor =
        vec4(color * (0.35 + 0.65 * max(dot(normalize(side), light), 0.0)), 1.0); }`;
    const program = gl.createProgram();
    const sources = [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, pixelSource]];
    for (const [kind, source] of sources) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    const at = name => gl.getUniformLocation(program, name);
    const buffers = [], ofPerson = new Map();  // another view may show the same people
    const upload = (kind, data) => {
      const buffer = gl.createBuffer();
      buffers.push(buffer);
      gl.bindBuffer(kind, buffer);
      gl.bufferData(kind, data, gl.STATIC_DRAW);
      return buffer;
    };
    return {
      name: 'webgl',
      load() {
        while (buffers.length) gl.deleteBuffer(buffers.pop());
        ofPerson.clear();
        for (const p of people) {
          ofPerson.set(p, [upload(gl.ARRAY_BUFFER, p.vertices),
            upload(gl.ARRAY_BUFFER, p.normals), upload(gl.ELEMENT_ARRAY_BUFFER, p.faces)]);
        }
      },
      draw(view, shown) {
        gl.viewport(0, 0, canvas.width, canvas.height);
        gl.clearColor(0, 0, 0, 0);
        gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
        const r = view.turn;
        const columns = [r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]];
        gl.uniformMatrix3fv(at('turn'), false, columns);
        gl.uniform3fv(at('center'), view.center);
        gl.uniform3fv(at('light'), light);
        gl.uniform2fv(at('move'), view.move);
        gl.uniform4fv(at('lens'), view.lens);
        gl.uniform2f(at('depth'), view.near, view.far);
        gl.uniform1f(at('away'), view.away);
        for (const p of shown) {
          const own = ofPerson.get(p);
          gl.uniform3fv(at('color'), p.color);
          ['position', 'normal'].forEach((name, i) => {
            const place = gl.getAttribLocation(program, name);
            gl.bindBuffer(gl.ARRAY_BUFFER, own[i]);
            gl.enableVertexAttribArray(place);
            gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
          });
          gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, own[2]);
          gl.drawElements(gl.TRIANGLES, p.faces.length, gl.UNSIGNED_SHORT, 0);
        }
      },
    };
  }

  function flatPainter(pen) {  // far triangles first; for browsers without WebGL
    return {
      name: 'canvas',
      load() {},
      draw(view, shown) {
        pen.clearRect(0, 0, canvas.width, canvas.height);
        const half = canvas.height / 2, middle = canvas.width / 2, r = view.turn, list = [];
        const [lensX, lensY, offX, offY] = view.lens;
        for (const p of shown) {
          const v = p.vertices, n = v.length / 3;
          const q = new Float32Array(v.length), deep = new Float32Array(n);
          for (let i = 0; i < n; i++) {
            const x = v[3 * i] - view.center[0], y = v[3 * i + 1] - view.center[1];
            const z = v[3 * i + 2] - view.center[2];
            const w = view.away - (r[6] * x + r[7] * y + r[8] * z);
            const right = r[0] * x + r[1] * y + r[2] * z + view.move[0];
            const up = r[3] * x + r[4] * y + r[5] * z + view.move[1];
            q[2 * i] = middle * (1 + lensX * right / w + offX);
            q[2 * i + 1] = half * (1 - lensY * up / w - offY);
            deep[i] = w;
          }
          for (let i = 0; i < p.faces.length; i += 3) {
            const a = p.faces[i], b = p.faces[i + 1], c = p.faces[i + 2];
            if (Math.min(deep[a], deep[b], deep[c]) <= 0) continue;
            const ux = q[2 * b] - q[2 * a], uy = q[2 * b + 1] - q[2 * a + 1];
            const wx = q[2 * c] - q[2 * a], wy = q[2 * c + 1] - q[2 * a + 1];
            if (ux * wy - uy * wx >= 0) continue;  // seen from behind; y points down here
            let shade = 0;
            for (let j = 0; j < 3; j++) {
              const side = r[3 * j] * p.normals[3 * a] + r[3 * j + 1] * p.normals[3 * a + 1]
                + r[3 * j + 2] * p.normals[3 * a + 2];
              shade += light[j] * side;
            }
            const level = 255 * (0.35 + 0.65 * Math.max(shade, 0));
            list.push([deep[a] + deep[b] + deep[c], q, a, b, c,
              `rgb(${p.color.map(part => Math.round(part * level)).join()})`]);
          }
        }
        list.sort((one, other) => other[0] - one[0]);
        for (const [, q, a, b, c, color] of list) {
          pen.fillStyle = pen.strokeStyle = color;
          pen.beginPath();
          pen.moveTo(q[2 * a], q[2 * a + 1]);
          pen.lineTo(q[2 * b], q[2 * b + 1]);
          pen.lineTo(q[2 * c], q[2 * c + 1]);
          pen.closePath();
          pen.fill();
          pen.stroke();  // closes the seams between triangles
        }
      },
    };
  }

  function choosePainter() {  // '#canvas' in the address asks for the one without WebGL
    if (location.hash !== '#canvas') {
      const gl = canvas.getContext('webgl', {antialias: true, preserveDrawingBuffer: true});
      const painter = gl && glPainter(gl);
      if (painter) return painter;
    }
    return flatPainter(canvas.getContext('2d'));
  }

  function draw() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const shown = people.filter(person => person.shown !== false);
    painter.draw(camera ? throughCamera() : orbit(canvas.width / canvas.height), shown);
    Object.assign(canvas.dataset, {painter: painter.name, shown: shown.length, frame: state.frame,
      yaw: state.yaw.toFixed(4), pitch: state.pitch.toFixed(4), zoom: state.zoom.toFixed(4)});
  }

  function redraw() {
    if (!waiting) { waiting = true; requestAnimationFrame(draw); }
  }

  function turn(yaw, pitch) {
    state.yaw += yaw;
    state.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, state.pitch + pitch));
    redraw();
  }

  function zoom(factor) {
    state.zoom = Math.max(0.2, Math.min(10, state.zoom * factor));
    redraw();
  }

  const painter = choosePainter();
  window.addEventListener('resize', redraw);
  return {
    redraw,
    show(list, frame, fit) {  // fit: put the people into the middle
      people = list;
      state.frame = frame;
      if (fit && people.length) {
        const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
        for (const {vertices} of people) {
          for (let i = 0; i < vertices.length; i++) {
            low[i % 3] = Math.min(low[i % 3], vertices[i]);
            high[i % 3] = Math.max(high[i % 3], vertices[i]);
          }
        }
        center = low.map((value, i) => (value + high[i]) / 2);
        radius = Math.hypot(...low.map((value, i) => high[i] - value)) / 2 || 1;
      }
      painter.load();
      redraw();
    },
    lookThrough(intrinsics) {  // {fx, fy, cx, cy, width, height}, pixels
      camera = intrinsics;
      redraw();
    },
    look(name) {
      [state.yaw, state.pitch] = views[name];
      state.zoom = 1;
      state.moveX = state.moveY = 0;
      redraw();
    },
    listen() {  // to mouse, touch and keys
      canvas.addEventListener('pointerdown', event => canvas.setPointerCapture(event.pointerId));
      canvas.addEventListener('pointermove', event => {
        if (!event.buttons) return;
        if (event.shiftKey || event.buttons & 2) {
          const scale = 2.4 * radius / state.zoom / canvas.clientHeight;
          state.moveX += event.movementX * scale;
          state.moveY -= event.movementY * scale;
          redraw();
        } else {
          turn(event.movementX * 0.01, event.movementY * 0.01);
        }
      });
      canvas.addEventListener('contextmenu', event => event.preventDefault());
      canvas.addEventListener('wheel', event => {
        event.preventDefault();
        zoom(Math.exp(-event.deltaY * 0.001));
      }, {passive: false});
      canvas.addEventListener('keydown', event => {
        const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0],
          ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]};
        if (event.key in step) turn(...step[event.key]);
        else if (event.key === '+') zoom(1.1);
        else if (event.key === '-') zoom(1 / 1.1);
        else return;
        event.preventDefault();
      });
    },
  };
}
"""
