import type { Heatmap } from "../service/types";
import type { ShownStack } from "../stack/reading";
import type { Colour } from "./colours";
import { FRAGMENT_SHADER, MAX_LAYERS, VERTEX_SHADER } from "./shaders";
import type { Place, Size } from "./shelves";
import type { Window } from "./view";

export interface StainLayer {
  channel: number;
  colour: Colour;
  /** Contrast limits, from 0 (the channel's least value) to 1 (its greatest). */
  limits: [number, number];
}

export interface Panel {
  place: Place;
  stains: StainLayer[];
  /** Factor of the summed stains. */
  gain: number;
  /** Of the greatest value of the heatmap; 0 lays nothing over. */
  opacity: number;
}

const UNIFORMS = [
  ...["stack", "part", "numStains", "layers", "colours", "limits", "gain"],
  ...["heat", "colourMap", "cellsPerField", "numCells", "heatScale", "opacity"],
];

/** Draws panels of one stack into one canvas by WebGL 2; it alone knows WebGL. */
export class Painter {
  readonly canvas = document.createElement("canvas");
  private readonly gl: WebGL2RenderingContext;
  private readonly uniforms: Record<string, WebGLUniformLocation | null>;
  private readonly textures: WebGLTexture[];

  constructor() {
    const gl = this.canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
    if (!gl) throw new Error("This browser cannot draw stacks: it has no WebGL 2.");
    this.gl = gl;
    const program = link(gl);
    gl.useProgram(program);
    this.uniforms = Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.textures = ["stack", "heat", "colourMap"].map((name, unit) => {
      gl.uniform1i(this.at(name), unit);
      return gl.createTexture();
    });
    this.showNoHeatmap();
  }

  /** Brings a stack to the GPU; half floats can be filtered everywhere, and 11 bits are more than a screen shows. */
  setStack({ channels }: ShownStack): void {
    const gl = this.gl;
    const shown = channels.slice(0, MAX_LAYERS);
    this.bind(0, gl.TEXTURE_2D_ARRAY);
    const levels = shown[0]?.levels ?? [];
    levels.forEach(({ width, height }, level) => {
      const all = new Float32Array(width * height * shown.length);
      shown.forEach((channel, index) => {
        all.set(channel.levels[level]?.values ?? [], index * width * height);
      });
      gl.texImage3D(
        gl.TEXTURE_2D_ARRAY,
        level,
        gl.R16F,
        width,
        height,
        shown.length,
        0,
        gl.RED,
        gl.FLOAT,
        all,
      );
    });
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAX_LEVEL, levels.length - 1);
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_NEAREST);
    // Enlarged pixels stay squares: what is between them was not measured.
    gl.texParameteri(gl.TEXTURE_2D_ARRAY, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    this.clamp(gl.TEXTURE_2D_ARRAY);
  }

  /**
   * Shows a heatmap.
   *
   * Cell i covers the field's pixels from `i * scale_px` on, as the service's own overlay has it.
   */
  setHeatmap(
    { values, width, height, scale_px: [cellHeight, cellWidth] }: Heatmap,
    top: number,
    field: Size,
  ): void {
    const gl = this.gl;
    // Half floats end at 65504, logits need not: the map is stored as a share of the top of its scale.
    const shares = Float32Array.from(values.flat(), (value) => (top > 0 ? value / top : 0));
    this.setHeat(shares, width, height);
    gl.uniform1f(this.at("heatScale"), 1);
    gl.uniform2f(this.at("numCells"), width, height);
    gl.uniform2f(this.at("cellsPerField"), field.width / cellWidth, field.height / cellHeight);
  }

  showNoHeatmap(): void {
    this.setHeat(new Float32Array(1), 1, 1);
    this.gl.uniform1f(this.at("heatScale"), 0);
    this.gl.uniform2f(this.at("numCells"), 1, 1);
    this.gl.uniform2f(this.at("cellsPerField"), 1, 1);
  }

  /** Takes 256 colours of four bytes. */
  setColourMap(table: Uint8Array<ArrayBuffer>): void {
    const gl = this.gl;
    this.bind(2, gl.TEXTURE_2D);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    this.clamp(gl.TEXTURE_2D);
  }

  /** Draws panels of one part of the field, on a canvas of this size at least. */
  draw(panels: Panel[], size: Size, part: Window): void {
    const { gl, canvas } = this;
    if (canvas.width < size.width) canvas.width = size.width;
    if (canvas.height < size.height) canvas.height = size.height;
    gl.uniform4f(this.at("part"), part.left, part.top, part.width, part.height);
    for (const { place, stains, gain, opacity } of panels) {
      gl.viewport(place.x, canvas.height - place.y - place.height, place.width, place.height);
      gl.uniform1i(this.at("numStains"), stains.length);
      if (stains.length > 0) {
        gl.uniform1iv(
          this.at("layers"),
          stains.map(({ channel }) => channel),
        );
        gl.uniform3fv(
          this.at("colours"),
          stains.flatMap(({ colour }) => colour),
        );
        gl.uniform2fv(
          this.at("limits"),
          stains.flatMap(({ limits }) => limits),
        );
      }
      gl.uniform1f(this.at("gain"), gain);
      gl.uniform1f(this.at("opacity"), opacity);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
  }

  private setHeat(values: Float32Array<ArrayBuffer>, width: number, height: number): void {
    const gl = this.gl;
    this.bind(1, gl.TEXTURE_2D);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16F, width, height, 0, gl.RED, gl.FLOAT, values);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    this.clamp(gl.TEXTURE_2D);
  }

  private bind(unit: number, target: number): void {
    this.gl.activeTexture(this.gl.TEXTURE0 + unit);
    this.gl.bindTexture(target, this.textures[unit] ?? null);
  }

  private clamp(target: number): void {
    this.gl.texParameteri(target, this.gl.TEXTURE_WRAP_S, this.gl.CLAMP_TO_EDGE);
    this.gl.texParameteri(target, this.gl.TEXTURE_WRAP_T, this.gl.CLAMP_TO_EDGE);
  }

  private at(name: string): WebGLUniformLocation | null {
    return this.uniforms[name] ?? null;
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  const sources: [number, string][] = [
    [gl.VERTEX_SHADER, VERTEX_SHADER],
    [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
  ];
  for (const [kind, source] of sources) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error("This browser cannot draw stacks: WebGL 2 makes no shader.");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(
      `This browser cannot draw stacks: ${gl.getProgramInfoLog(program) ?? "its shader does not link"}`,
    );
  }
  return program;
}
