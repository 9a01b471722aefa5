/** Stacks of more channels are shown by their first ones. */
export const MAX_LAYERS = 64;

export const VERTEX_SHADER = `#version 300 es
out vec2 corner;
void main() {
  // One triangle that covers the panel.
  vec2 position = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  corner = vec2(0.5 + 0.5 * position.x, 0.5 - 0.5 * position.y);
  gl_Position = vec4(position, 0.0, 1.0);
}`;

export const FRAGMENT_SHADER = `#version 300 es
precision highp float;
precision highp sampler2DArray;

in vec2 corner;
out vec4 shown;

uniform sampler2DArray stack;
uniform vec4 part;                       // of the field: left, top, width, height
uniform int numStains;
uniform int layers[${MAX_LAYERS}];
uniform vec3 colours[${MAX_LAYERS}];
uniform vec2 limits[${MAX_LAYERS}];
uniform float gain;

uniform sampler2D heat;                  // one texel a cell
uniform sampler2D colourMap;
uniform vec2 cellsPerField;              // how many cells the field would hold
uniform vec2 numCells;
uniform float heatScale;
uniform float opacity;

void main() {
  vec2 at = part.xy + corner * part.zw;
  vec3 picture = vec3(0.0);
  for (int index = 0; index < numStains; index++) {
    float value = texture(stack, vec3(at, float(layers[index]))).r;
    vec2 limit = limits[index];
    picture += colours[index] * clamp((value - limit.x) / (limit.y - limit.x), 0.0, 1.0);
  }
  picture = min(picture * gain, 1.0);
  float amount = clamp(texture(heat, at * cellsPerField / numCells).r * heatScale, 0.0, 1.0);
  vec3 hue = texture(colourMap, vec2((amount * 255.0 + 0.5) / 256.0, 0.5)).rgb;
  shown = vec4(mix(picture, hue, opacity * amount), 1.0);
}`;
