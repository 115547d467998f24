package dev.precis.tools.gpu;

/**
 * A simple model of a GPU's time. With G blocks of t threads, r registers a thread and s bytes of
 * shared memory on M multiprocessors,
 *
 * <pre>
 *   resident     R = min(32, 2048 / t, 65536 / (t r), shared memory / (s + 1 KiB))   blocks
 *   waves        W = ceil(G / (M R))
 *   in flight    f = 16 t x (loads or copies before the first wait)   bytes of a block,
 *                or its ring of stages
 *   bandwidth    b = min(B, min(G, M R) f / latency)                  Little's law
 *   time         max(bytes / b,
 *                    bytes of all blocks / bandwidth of the L2 cache,
 *                    ceil(G / M) x operations of a block / (rate of a multiprocessor),
 *                    W x latency x (1 + bytes of a block / f))
 * </pre>
 *
 * <p>B is {@link #ATTAINABLE} of the memory's bandwidth. Operations of tensor cores and of float32
 * lanes overlap. In a graph the gap between kernels is added to every launch, a shorter one before
 * a dependent launch; outside of one, a launch takes at least the time that the host needs to
 * submit it.
 */
final class TimingModel {
  /** The share of a memory's nominal bandwidth that a copy reaches. */
  static final double ATTAINABLE = 0.92;

  /** The reason why a launch takes its time. */
  enum Bound {
    MEMORY,
    CACHE,
    OPERATIONS,
    LATENCY,
    LAUNCH
  }

  /**
   * The time of a launch.
   *
   * @param kernel microseconds of the kernel alone
   * @param total microseconds with the gap before it
   * @param bound the largest term, or {@link Bound#LAUNCH} if the gap is longer than the kernel
   */
  record Time(double kernel, double total, Bound bound) {}

  private final Device device;

  TimingModel(Device device) {
    this.device = device;
  }

  /** Returns the blocks that a multiprocessor has room for, at least one. */
  int resident(Launch launch, int registers) {
    // Registers are given to warps in units of 8 a thread.
    int ofThread = Math.max((registers + 7) / 8 * 8, 8);
    int blocks = Math.min(Device.BLOCKS, Device.THREADS / launch.threads());
    blocks = Math.min(blocks, Device.REGISTERS / (ofThread * launch.threads()));
    blocks = Math.min(blocks, device.sharedBytes() / (launch.shared() + Device.RESERVED_SHARED));
    return Math.max(blocks, 1);
  }

  /** Returns how often the multiprocessors are filled with blocks. */
  long waves(Launch launch, int registers) {
    return ceilDiv(launch.blocks(), (long) device.multiprocessors() * resident(launch, registers));
  }

  /** Returns the bytes a microsecond that so many bytes in flight allow. */
  double bandwidth(double inFlight) {
    return Math.min(ATTAINABLE * device.bandwidth(), inFlight / device.latency());
  }

  /**
   * Returns the time of a launch.
   *
   * @param work of a kernel; ignored for a fill or a copy
   * @param inGraph false: it is launched on its own
   */
  Time time(Launch launch, Work work, boolean inGraph) {
    if (!launch.isKernel()) {
      // A fill, or a small copy to or from the host, whose latency is that of PCI Express.
      double kernel = launch.name().equals("copy") ? 2 * device.latency() : device.latency();
      kernel += launch.bytes() / (ATTAINABLE * device.bandwidth());
      return gap(kernel, Bound.LATENCY, false, inGraph);
    }
    Code code = work.code();
    int resident = resident(launch, code.registers());
    long blocks = launch.blocks();
    double inFlight =
        work.ring() > 0 ? work.ring() : 16.0 * launch.threads() * Math.max(code.inFlight(), 1);
    long running = Math.min(blocks, (long) device.multiprocessors() * resident);
    double memory = work.bytes() / bandwidth(running * inFlight);
    double cache = work.blockBytes() * blocks / device.cacheBandwidth();
    double turns = ceilDiv(blocks, device.multiprocessors());
    double ofBlock = device.multiprocessors() * turns / blocks;
    double operations =
        ofBlock
            * Math.max(
                work.tensor() / (device.tensorRate() * work.efficiency()),
                work.vector() / device.floatRate());
    double latency =
        waves(launch, code.registers()) * device.latency() * (1 + work.blockBytes() / inFlight);
    double kernel = Math.max(Math.max(memory, cache), Math.max(operations, latency));
    Bound bound =
        kernel == memory
            ? Bound.MEMORY
            : kernel == operations
                ? Bound.OPERATIONS
                : kernel == latency ? Bound.LATENCY : Bound.CACHE;
    return gap(kernel, bound, launch.dependent(), inGraph);
  }

  private Time gap(double kernel, Bound bound, boolean dependent, boolean inGraph) {
    double total =
        inGraph
            ? kernel + (dependent ? device.dependentGap() : device.graphGap())
            : Math.max(kernel + device.graphGap(), device.launchTime());
    return new Time(kernel, total, total - kernel > kernel ? Bound.LAUNCH : bound);
  }

  private static long ceilDiv(long a, long b) {
    return (a + b - 1) / b;
  }
}
