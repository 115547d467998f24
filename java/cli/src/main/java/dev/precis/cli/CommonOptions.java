package dev.precis.cli;

import dev.precis.InvalidInputException;
import dev.precis.ffi.Context;
import dev.precis.tensor.DType;
import picocli.CommandLine.Option;

/** The options of every command. */
final class CommonOptions {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "auto",
      description = "auto, cpu, or cuda[:N] (default: ${DEFAULT-VALUE}).")
  private String device;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "float32",
      description = {
        "float32, bfloat16 or int8 (default: ${DEFAULT-VALUE}, which gives PyTorch's tokens).",
        "bfloat16 needs half the memory and about half the time, int8 a quarter."
      })
  private String dtype;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Threads (default: one for each physical core).")
  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Where random draws begin (default: ${DEFAULT-VALUE}); same seed, same result.")
  private long seed;

  @Option(names = "--quiet", description = "No progress and no notes on standard error.")
  private boolean quiet;

  @Option(names = "--debug", description = "Print the stack trace of an error.")
  private boolean debug;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help.")
  private boolean help;

  boolean quiet() {
    return quiet;
  }

  long seed() {
    return seed;
  }

  int threads() {
    if (threads < 0) {
      throw new InvalidInputException("--threads must be 1 or more, not " + threads + ".");
    }
    return threads;
  }

  /** Refuses a device that this build does not have; what is left is the CPU. */
  void requireDevice() {
    if (device.matches("cuda(:\\d{1,3})?")) {
      throw new InvalidInputException(
          "--device " + device + ": this build has no CUDA; use --device cpu.");
    }
    if (!device.equals("auto") && !device.equals("cpu")) {
      throw new InvalidInputException(
          "--device must be auto, cpu or cuda[:N], not '" + device + "'.");
    }
  }

  DType dtype() {
    return switch (dtype) {
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      case "int8" -> DType.INT8;
      default ->
          throw new InvalidInputException(
              "--dtype must be float32, bfloat16 or int8, not '" + dtype + "'.");
    };
  }

  /** A context as the options ask for. */
  Context context() {
    requireDevice();
    return new Context.Options().threads(threads()).create();
  }
}
