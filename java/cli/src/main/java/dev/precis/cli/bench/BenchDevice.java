package dev.precis.cli.bench;

import dev.precis.ffi.Context;

/** What a measurement says about the device that it ran on. */
public final class BenchDevice {
  private BenchDevice() {}

  /** {@code cpu} or {@code cuda}, as the peers' scripts say it. */
  static String kind(Context.Info info) {
    return info.gpu() == null ? "cpu" : "cuda";
  }

  /** The GPU's name; empty on the CPU. */
  static String gpu(Context.Info info) {
    return info.gpu() == null ? "" : info.gpu().name();
  }

  /** What is in use of the GPU's memory now, by whomever, in MB; 0 on the CPU. */
  static long megabytes(Context.Info info) {
    if (info.gpu() == null) {
      return 0;
    }
    try (Context now = new Context.Options().device("cuda:" + info.gpu().index()).create()) {
      return (now.info().gpu().bytes() - now.info().gpu().freeBytes()) >> 20;
    }
  }
}
