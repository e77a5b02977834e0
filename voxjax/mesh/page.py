"""A page on which a mesh can be turned: one HTML file that holds the glTF and three.js and opens offline.

three.js and its loader come from the viewer page that ships with trimesh; the scene is set up here, since
that page shows linear colours as they are, too dark, and lets objects tilt.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from trimesh import resources, util

_STYLE = """
html, body { margin: 0; height: 100%; overflow: hidden; background: #fff; }
body { font: 14px/1.4 system-ui, sans-serif; }
canvas { display: block; touch-action: none; cursor: grab; }
button { position: fixed; left: 10px; bottom: 10px; font: inherit; padding: .25rem .8rem; background: #f5f6f8;
  border: 1px solid #dcdee3; border-radius: .5rem; color: #1c1d20; cursor: pointer; }
"""
# Drag turns, the wheel or two fingers come closer. "Light" shows the shape of what glows evenly by itself.
_SCRIPT = """
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.outputEncoding = THREE.sRGBEncoding;
renderer.setPixelRatio(window.devicePixelRatio);
document.body.appendChild(renderer.domElement);
const scene = new THREE.Scene(), camera = new THREE.PerspectiveCamera(35, 1, 0.01, 1000);
scene.background = new THREE.Color(0xffffff);
const lamp = new THREE.DirectionalLight(0xffffff, 0.65);
scene.add(lamp, new THREE.AmbientLight(0xffffff, 0.4));
const view = { azimuth: 0.5, elevation: 0.4, distance: 4, centre: new THREE.Vector3() };
function draw() {
  const width = window.innerWidth, height = window.innerHeight, e = view.elevation, a = view.azimuth;
  renderer.setSize(width, height);
  camera.aspect = width / height;
  camera.fov = width < height ? 2 * Math.atan(Math.tan(0.3) * height / width) * 180 / Math.PI : 35;
  camera.position.set(Math.cos(e) * Math.cos(a), Math.sin(e), -Math.cos(e) * Math.sin(a));
  camera.position.multiplyScalar(view.distance).add(view.centre);
  camera.lookAt(view.centre);
  camera.updateProjectionMatrix();
  lamp.position.copy(camera.position);
  renderer.render(scene, camera);
}
const fingers = new Map(), canvas = renderer.domElement;
const span = () => { const [p, q] = [...fingers.values()]; return Math.hypot(p[0] - q[0], p[1] - q[1]); };
canvas.onpointerdown = event => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
};
canvas.onpointerup = canvas.onpointercancel = event => fingers.delete(event.pointerId);
canvas.onpointermove = event => {
  const last = fingers.get(event.pointerId);
  if (!last) return;
  const before = fingers.size > 1 ? span() : 0;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (before) view.distance *= before / Math.max(span(), 1);
  else {
    view.azimuth -= (event.clientX - last[0]) * 0.01;
    view.elevation = Math.max(-1.5, Math.min(1.5, view.elevation + (event.clientY - last[1]) * 0.01));
  }
  draw();
};
canvas.onwheel = event => {
  event.preventDefault();
  view.distance *= Math.exp(event.deltaY * 0.001);
  draw();
};
window.onresize = draw;
const bytes = Uint8Array.from(atob(document.getElementById("glb").textContent), c => c.charCodeAt(0));
new THREE.GLTFLoader().parse(bytes.buffer, "", file => {
  scene.add(file.scene);
  const ball = new THREE.Box3().setFromObject(file.scene).getBoundingSphere(new THREE.Sphere());
  view.centre.copy(ball.center);
  view.distance = ball.radius / Math.sin(17.5 * Math.PI / 180) * 1.02;
  const meshes = [], button = document.querySelector("button");
  file.scene.traverse(each => { if (each.isMesh) meshes.push([each, each.material]); });
  let lit = false;
  button.hidden = false;
  button.onclick = () => {
    lit = !lit;
    button.textContent = lit ? "Own colours" : "Light";
    for (const [mesh, plain] of meshes) mesh.material = lit
      ? new THREE.MeshLambertMaterial({ vertexColors: plain.vertexColors, map: plain.map }) : plain;
    draw();
  };
  draw();
  document.body.dataset.ready = "yes";
});
"""


def turning_page(glb: bytes, *, title: str) -> str:
    """The page.

    Args:
      glb: content of a `.glb`.
      title: of the page.

    Returns:
      HTML without a reference to anything outside it; `body` gets `data-ready` once the mesh is drawn.

    Raises:
      RuntimeError: trimesh's page has changed and three.js is not found in it.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        '<body><button type="button" hidden>Light</button>'
        f'<script type="application/octet-stream" id="glb">{base64.b64encode(glb).decode("ascii")}</script>'
        f"<script>{_three()}</script><script>{_SCRIPT}</script></body></html>\n"
    )


def _three() -> str:
    """three.js with its glTF loader, as trimesh ships them."""
    packed: Any = util.decompress(resources.get_bytes("templates/viewer.zip"), file_type="zip")
    page = packed["viewer.html.template"].read().decode("utf-8")
    start, end = page.find("<script>"), page.find("var camera,controls,scene,renderer,tracklight;")
    if start < 0 or end < start or "THREE.GLTFLoader" not in page[:end]:
        raise RuntimeError("trimesh's viewer page has changed: three.js is not where it was")
    return page[start + len("<script>") : end]
