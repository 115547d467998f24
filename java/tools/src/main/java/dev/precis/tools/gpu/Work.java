package dev.precis.tools.gpu;

/**
 * The bytes and operations of a launch.
 *
 * @param bytes that it moves from or to memory at least: each operand and result once
 * @param blockBytes that its largest block moves, reads of the L2 cache included
 * @param tensor operations of tensor cores of all blocks, padding of tiles included
 * @param efficiency the share of the tensor cores' rate that its instructions reach
 * @param vector operations of float32 lanes of all blocks; a multiply-add is two
 * @param code its machine code
 * @param ring bytes that a block has on their way; 0: what the machine code says
 */
record Work(
    double bytes,
    double blockBytes,
    double tensor,
    double efficiency,
    double vector,
    Code code,
    double ring) {
  /** Returns the work of a kernel that streams bytes, which its blocks share evenly. */
  static Work stream(Launch launch, double bytes, double vector, Code code) {
    return new Work(bytes, bytes / launch.blocks(), 0, 1, vector, code, 0);
  }
}
