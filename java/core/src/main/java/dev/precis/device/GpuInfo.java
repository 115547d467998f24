package dev.precis.device;

/**
 * The GPU that a {@link Device} is.
 *
 * @param computeCapability as 90
 * @param driver the CUDA version that the driver supports, as 13000
 * @param cublasltVersion empty if cuBLASLt is not used
 * @param cublasltError reason why it could not be loaded; empty if nobody tried
 */
public record GpuInfo(
    int index,
    String name,
    int computeCapability,
    int driver,
    long bytes,
    long freeBytes,
    String cublasltVersion,
    String cublasltPath,
    String cublasltError) {}
