package dev.precis.tools.sass;

/**
 * One instruction of compute capability 8.0 to 9.0, 16 bytes, little endian. NVIDIA does not
 * document the encoding; the fields here were compared with nvdisasm's listing of every kernel.
 *
 * <pre>
 *   bits        field
 *   0 - 11      operation and the kinds of its operands
 *   12 - 15     predicate, 7: always; negated
 *   73 - 75     a load's or store's width: 4, 5 and 6 are 4, 8 and 16 bytes, less are 1 and 2
 *   110 - 112   the scoreboard that counts the instruction until its result is written, 7: none
 *   116 - 121   the scoreboards, a bit each, that must be empty before the instruction is issued
 * </pre>
 *
 * @param low the first 8 bytes
 * @param high the other 8 bytes
 */
record Instruction(long low, long high) {
  static final int BYTES = 16;

  /** The scoreboards of a warp. */
  static final int SCOREBOARDS = 6;

  private static final int ALWAYS = 7;

  private static final int LD = 0x980;
  private static final int LDG = 0x981;
  private static final int LDL = 0x983;
  private static final int STL = 0x387;
  private static final int LDGSTS = 0xfae;
  private static final int UTMALDG = 0x5b4;
  private static final int UBLKCP = 0x3ba;
  private static final int HMMA = 0x23c;
  private static final int IMMA = 0x237;
  private static final int HGMMA = 0x1f0; // whatever kinds its operands have
  private static final int DEPBAR = 0x91a;
  private static final int ACQBULK = 0x82e;
  private static final int BRA = 0x947;
  private static final int BRX = 0x949;
  private static final int EXIT = 0x94d;
  private static final int RET = 0x950;
  private static final int CALL = 0x944;

  /** Returns the operation with the kinds of its operands. */
  int operation() {
    return (int) (low & 0xfff);
  }

  /** Tells whether every thread executes it. */
  private boolean always() {
    return (low >>> 12 & 0xf) == ALWAYS;
  }

  /**
   * Tells whether it loads from global memory, or from an address of any kind of memory, into
   * registers.
   */
  boolean isGlobalLoad() {
    return operation() == LDG || operation() == LD;
  }

  /** Returns the bytes that a thread loads or copies. */
  int bytes() {
    int width = (int) (high >>> 9 & 7);
    return width >= 4 ? 4 << (width - 4) : 1 << (width / 2);
  }

  /** Tells whether it loads from or stores into local memory. */
  boolean isLocal() {
    return operation() == LDL || operation() == STL;
  }

  /** Tells whether it copies from global to shared memory and does not wait: cp.async. */
  boolean isAsyncCopy() {
    return operation() == LDGSTS;
  }

  /** Tells whether it is wgmma. */
  boolean isHgmma() {
    return (low & 0x1ff) == HGMMA;
  }

  /** Tells whether it is a warp's matrix product of 16-bit floats. */
  boolean isHmma() {
    return operation() == HMMA;
  }

  /** Tells whether it is a warp's matrix product of 8-bit integers. */
  boolean isImma() {
    return operation() == IMMA;
  }

  /** Tells whether it starts a copy by the tensor memory accelerator. */
  boolean isBulkCopy() {
    return operation() == UTMALDG || operation() == UBLKCP;
  }

  /** Returns the scoreboard that is free again once the result is written, or -1. */
  int scoreboard() {
    int scoreboard = (int) (high >>> 46 & 7);
    return scoreboard < SCOREBOARDS ? scoreboard : -1;
  }

  /** Returns the scoreboards that it waits for, a bit each. */
  int waits() {
    int waits = (int) (high >>> 52 & 0x3f);
    // DEPBAR.LE names one scoreboard; that it may leave some of its instructions pending is
    // ignored.
    return operation() == DEPBAR ? waits | 1 << (low >>> 44 & 7) : waits;
  }

  /** Tells whether it waits for the kernels before its own: griddepcontrol.wait. */
  boolean isWaitForPrevious() {
    return operation() == ACQBULK;
  }

  /** Tells whether it waits for asynchronous copies. */
  boolean isBarrier() {
    return operation() == DEPBAR;
  }

  /**
   * Tells whether it calls a function of the same section, after which execution continues here.
   */
  boolean isCall() {
    return operation() == CALL;
  }

  boolean isBranch() {
    return operation() == BRA || operation() == CALL;
  }

  /** Tells whether the instruction after it is never executed next. */
  boolean ends() {
    return switch (operation()) {
      case EXIT, RET, BRX -> always();
      case BRA -> always() && (high >>> 23 & 0xf) == ALWAYS;
      default -> false;
    };
  }

  /**
   * Returns the number of bytes from the following instruction to a branch's target.
   *
   * @param capability such as 90; 9.0 has a distance of its own encoding
   */
  long distance(int capability) {
    // Bits 34 to 81, with their sign.
    long upper = ((high & 0x3ffff) << 30 | low >>> 34) << 16 >> 16;
    return capability >= 90 ? upper << 10 | (low >>> 16 & 0xff) << 2 : upper << 2;
  }
}
