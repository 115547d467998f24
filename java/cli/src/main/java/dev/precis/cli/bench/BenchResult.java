package dev.precis.cli.bench;

import dev.precis.cli.common.ProcFile;
import dev.precis.cli.common.Version;
import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import java.util.Arrays;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

/**
 * Times runs and reports them as one JSON object: first the keys that the peers' scripts have in
 * common, then those of the measurement, then the engine's.
 */
final class BenchResult {
  private final double[] seconds;

  /** One run, with its number; the first, which warms up, is run -1. */
  interface Run {
    void run(int number);
  }

  private BenchResult(double[] seconds) {
    this.seconds = seconds;
  }

  /** Runs once to warm up, then as often as asked for; all that it takes is timed. */
  static BenchResult time(int repeats, Run run) {
    double[] seconds = new double[repeats];
    for (int number = -1; number < repeats; number++) {
      long start = System.nanoTime();
      run.run(number);
      if (number >= 0) {
        seconds[number] = (System.nanoTime() - start) / 1e9;
      }
    }
    Arrays.sort(seconds);
    return new BenchResult(seconds);
  }

  /** Begins the object. */
  ObjectNode json(String mode, DType dtype, DeviceInfo info, double tokens) {
    int count = seconds.length;
    double median = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2;
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("mode", mode);
    json.put("dtype", dtype.name().toLowerCase(Locale.ROOT));
    json.put("device", info.gpu() == null ? "cpu" : "cuda");
    json.put("seconds", rounded(seconds[0], 1e4));
    json.put("median_seconds", rounded(median, 1e4));
    json.put("tokens_per_second", rounded(tokens / seconds[0], 10));
    json.put("peak_mb", ProcFile.bytes("/proc/self/status", "VmHWM") >> 20);
    json.put("threads", info.threads());
    return json;
  }

  /** Ends the object. */
  static String finished(ObjectNode json, DeviceInfo info) {
    json.put("engine", "precis " + Version.number());
    json.put("isa", info.isa());
    json.put("gpu", info.gpu() == null ? "" : info.gpu().name());
    json.put("gpu_mb", gpuMegabytes(info));
    return json.toString();
  }

  /** The GPU memory in use now, by any process, in MB; 0 on the CPU. */
  private static long gpuMegabytes(DeviceInfo info) {
    if (info.gpu() == null) {
      return 0;
    }
    try (Ops now = Ops.open(new DeviceOptions().device("cuda:" + info.gpu().index()))) {
      return (now.device().info().gpu().bytes() - now.device().info().gpu().freeBytes()) >> 20;
    }
  }

  static double rounded(double value, double digits) {
    return Math.round(value * digits) / digits;
  }
}
