package dev.precis.cli.common;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.ffi.Context;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import picocli.CommandLine.Option;

/** The options of every command. */
public final class CommonOptions {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      defaultValue = "auto",
      description = "auto, cpu, or cuda[:N] (default: ${DEFAULT-VALUE}).")
  private String device;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "auto",
      description = {
        "float32, bfloat16 or int8 (default: as the model's files are, FLAN-T5's float32, which"
            + " gives PyTorch's tokens).",
        "bfloat16 takes about half the memory and time, int8 a quarter."
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

  public boolean quiet() {
    return quiet;
  }

  public long seed() {
    return seed;
  }

  public int threads() {
    if (threads < 0) {
      throw new InvalidInputException("--threads must be 1 or more, not " + threads);
    }
    return threads;
  }

  /** Refuses a device that is none, and a type that it does not have. */
  public void requireDevice() {
    boolean cuda = device.matches("cuda(:\\d{1,3})?");
    if (!cuda && !device.equals("auto") && !device.equals("cpu")) {
      throw new InvalidInputException(
          "--device must be auto, cpu or cuda[:N], not '" + device + "'");
    }
    if (cuda && loadsInt8()) {
      throw new InvalidInputException("--dtype int8 is for the CPU: use --dtype bfloat16");
    }
  }

  /** What to run on: int8 is for the CPU. */
  private String device() {
    requireDevice();
    return loadsInt8() ? "cpu" : device;
  }

  /** Whether a GPU was asked for by name. */
  public boolean asksForGpu() {
    return device.startsWith("cuda");
  }

  /** The GPU that would be used; null where none is wanted. */
  public String gpu() {
    return device.equals("cpu") ? null : asksForGpu() ? device : "cuda:0";
  }

  /** The type to load a model as; null: as its files are. */
  private DType dtype() {
    return switch (dtype) {
      case "auto" -> null;
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      case "int8" -> DType.INT8;
      default ->
          throw new InvalidInputException(
              "--dtype must be auto, float32, bfloat16 or int8, not '" + dtype + "'");
    };
  }

  /** How a model is loaded with these options. */
  public T5.LoadOptions loadOptions() {
    return new T5.LoadOptions().device(device()).dtype(dtype()).threads(threads());
  }

  /** How a classifier is loaded with these options. */
  public Classifier.LoadOptions classifierOptions() {
    if (loadsInt8()) {
      throw new InvalidInputException(
          "--dtype int8 is for generation: score in float32 or bfloat16");
    }
    return new Classifier.LoadOptions().device(device()).dtype(dtype()).threads(threads());
  }

  /** Whether models are loaded as int8. */
  public boolean loadsInt8() {
    return dtype() == DType.INT8;
  }

  /** The type to train in: bfloat16 on request, else float32. */
  public DType trainingType() {
    DType type = dtype();
    if (type == DType.INT8) {
      throw new InvalidInputException("--dtype int8 is for generation: train in bfloat16");
    }
    return type == null ? DType.FLOAT32 : type;
  }

  /** How a context for training is made as the options ask for. */
  public Context.Options contextOptions() {
    return new Context.Options().device(device()).threads(threads()).manyRows(true);
  }

  /** A context as the options ask for. */
  public Context context() {
    return contextOptions().create();
  }
}
