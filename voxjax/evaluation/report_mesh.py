"""A mesh to turn: trimesh's viewer page with the bytes of a glTF file in it, which needs nothing else.

That page (three.js r140) draws with one lamp and trackball controls, whose wheel takes the page's scrolling.
A script behind it changes four things before the first picture. The file's bytes are shown as they are, not
as trimesh would write them again; colours are unlit, in sRGB, as in the pictures of a run; the camera is that
of the pictures, far enough away for the whole mesh; and the wheel zooms only once one has clicked.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimesh.viewer import scene_to_html

from voxjax.cameras import BLENDER_FOCAL_PX, BLENDER_WIDTH_PX
from voxjax.errors import UserError
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG

_FIELD_OF_VIEW_DEG = math.degrees(2 * math.atan(BLENDER_WIDTH_PX / 2 / BLENDER_FOCAL_PX))
_SCRIPT = """
<style>
  body { background: #fff; } canvas { display: block; outline-offset: -2px; cursor: grab; }
  canvas:active { cursor: grabbing; }
  label { position: fixed; right: .6rem; bottom: .5rem; font: 13px system-ui, sans-serif; color: #444;
    background: #fffc; border-radius: .4rem; padding: .2rem .5rem; cursor: pointer; }
  label input { margin: 0 .35rem 0 0; vertical-align: -1px; }
  .none { font: 15px/1.5 system-ui, sans-serif; color: #555; padding: 2rem; text-align: center; }
</style>
<label hidden><input type="checkbox">shade</label>
<script>
if (!window.loader) {
  const words = document.createElement('p');
  words.className = 'none';
  words.textContent = 'This browser draws no WebGL here; the mesh is the file mesh.glb of the run.';
  document.body.append(words);
} else {
  const parse = loader.parse.bind(loader);
  loader.parse = (data, path, done, fail) => parse(data, path, gltf => {
    let ball = null;
    gltf.scene.updateMatrixWorld(true);
    gltf.scene.traverse(part => {
      if (!part.isMesh) return;
      part.geometry.computeBoundingSphere();
      const own = part.geometry.boundingSphere.clone().applyMatrix4(part.matrixWorld);
      ball = ball ? ball.union(own) : own;
    });
    const angle = ANGLE * Math.PI / 180, way = new THREE.Vector3(DIRECTION);
    const eye = new THREE.PerspectiveCamera(ANGLE, 1, ball.radius / 100, ball.radius * 100);
    eye.position.copy(ball.center).addScaledVector(way, ball.radius / Math.sin(angle / 2) * 1.02);
    eye.lookAt(ball.center);
    gltf.cameras = [eye];
    const looks = [];
    gltf.scene.traverse(part => {
      if (!part.isMesh) return;
      const { vertexColors, map } = part.material, side = THREE.DoubleSide;
      if (!part.geometry.attributes.normal) part.geometry.computeVertexNormals();
      looks.push([part, new THREE.MeshBasicMaterial({ vertexColors, map, side }),
        new THREE.MeshLambertMaterial({ vertexColors, map, side })]);
    });
    const shade = on => looks.forEach(([part, plain, shaded]) => { part.material = on ? shaded : plain; });
    shade(false);
    renderer.outputEncoding = THREE.sRGBEncoding;
    tracklight.intensity = .7;
    scene.add(new THREE.AmbientLight(0xffffff, .45));
    done(gltf);
    controls.target0.copy(controls.target);
    controls.position0.copy(eye.position);
    const canvas = renderer.domElement, box = document.querySelector('input');
    box.parentNode.hidden = false;
    box.onchange = () => { shade(box.checked); render(); };
    controls.noZoom = true;
    canvas.addEventListener('pointerdown', () => { controls.noZoom = false; });
    canvas.addEventListener('pointerleave', () => { controls.noZoom = true; });
    canvas.addEventListener('dblclick', () => { controls.reset(); });
    canvas.style.touchAction = 'pan-y';
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', 'the mesh; arrow keys turn it');
    canvas.addEventListener('keydown', event => {
      const turns = { ArrowLeft: [0, -.15], ArrowRight: [0, .15], ArrowUp: [-.15, 0], ArrowDown: [.15, 0] };
      if (!turns[event.key]) return;
      event.preventDefault();
      const place = new THREE.Spherical().setFromVector3(camera.position.clone().sub(controls.target));
      place.phi += turns[event.key][0];
      place.theta += turns[event.key][1];
      camera.position.setFromSpherical(place.makeSafe()).add(controls.target);
      camera.up.set(0, 1, 0);
      camera.lookAt(controls.target);
      render();
    });
    document.body.dataset.shown = looks.length;
  }, fail);
}
</script>
"""


@dataclass(frozen=True)
class _File:
    """What `scene_to_html` asks of a scene, answered with a file's own bytes."""

    content: bytes
    camera: None = None

    def export(self, file_type: str) -> bytes:
        """Returns the glTF."""
        assert file_type == "glb"
        return self.content


def viewer_page(glb: str | Path | bytes) -> str:
    """A page in which a mesh can be turned, without a reference to anything outside it.

    It opens at the azimuth and elevation of the evaluation view, y up. Drag to turn, wheel to zoom after a
    click, double click for the first view; arrow keys turn too, and a box shades the surface.

    Args:
      glb: binary glTF, or its file; vertex colours or a texture, linear as glTF has them.

    Returns:
      HTML; for an `iframe`'s `srcdoc` it is still to be escaped.
    """
    content = glb if isinstance(glb, bytes) else Path(glb).read_bytes()
    azimuth, elevation = math.radians(EVAL_AZIMUTH_DEG), math.radians(EVAL_ELEVATION_DEG)
    level = math.cos(elevation)
    # World to glTF: (x, y, z) with z up becomes (x, z, -y) with y up.
    direction = (level * math.cos(azimuth), math.sin(elevation), -level * math.sin(azimuth))
    script = _SCRIPT.replace("ANGLE", f"{_FIELD_OF_VIEW_DEG:.4f}").replace(
        "DIRECTION", ", ".join(f"{each:.6f}" for each in direction)
    )
    scene: Any = _File(content)
    # The last one: three.js comes before it and may hold the word.
    before, end, after = scene_to_html(scene).rpartition("</body>")
    return before + script + end + after


def counts(glb: str | Path) -> tuple[int, int]:
    """Returns (vertices, triangles) of a binary glTF file, read from its head alone.

    Raises:
      UserError: it is no such file, or holds no mesh.
    """
    try:
        with open(glb, "rb") as file:
            # Magic, version, length; then length and kind of the first chunk, which is the JSON.
            _, _, _, length, _ = struct.unpack("<5I", file.read(20))
            tree = json.loads(file.read(length))
        parts = [part for mesh in tree["meshes"] for part in mesh["primitives"]]
        sizes = [accessor["count"] for accessor in tree["accessors"]]
        n_vertices = sum(sizes[part["attributes"]["POSITION"]] for part in parts)
        return n_vertices, sum(sizes[part["indices"]] for part in parts) // 3
    except (struct.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"{glb}: not a mesh in binary glTF; delete it, and voxjax report makes it") from error
