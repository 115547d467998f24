package dev.precis.device;

/**
 * The description of a {@link Device}: of its threads, its kernels and its GPU.
 *
 * @param isa the instruction set of the kernels, such as {@code avx512_bf16} or {@code sm_90a}
 * @param features what the processor offers
 * @param cores the cores that the threads are pinned to
 * @param onednnError reason why oneDNN could not be loaded, or what it cannot multiply on this
 *     processor, which the library's own kernels do; empty if there is neither, or nobody tried
 * @param scratchBytes memory that the kernels hold at this moment
 * @param allocations number of allocations since the device was opened
 * @param replays number of captured steps that were replayed
 * @param launches number of kernels, fills and copies that a GPU was given, those of graphs
 *     included
 * @param gpu null on the CPU
 */
public record DeviceInfo(
    int threads,
    String isa,
    String features,
    String cores,
    boolean onednn,
    String onednnVersion,
    String onednnPath,
    String onednnError,
    long scratchBytes,
    long allocations,
    long replays,
    long launches,
    GpuInfo gpu) {}
