package dev.precis.cli.common;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import picocli.CommandLine.Option;

/** The options that every command has. */
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
        "float32, bfloat16, int8 or int4 (default: the type of the model's files; for FLAN-T5 that"
            + " is float32, which gives the same tokens as PyTorch).",
        "bfloat16 takes about half the memory and time, int8 about a quarter, and int4, which is"
            + " for the CPU, a seventh; int8 and int4 are for generation and, on the CPU, for"
            + " frozen weights under adapters that are trained."
      })
  private String dtype;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of threads (default: one per physical core).")
  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Seed of all random numbers (default: ${DEFAULT-VALUE}); the same seed gives the same"
              + " result.")
  private long seed;

  @Option(names = "--quiet", description = "Print no progress and no notes to standard error.")
  private boolean quiet;

  @Option(names = "--debug", description = "Print the stack trace of an error.")
  private boolean debug;

  @Option(names = "--help", usageHelp = true, description = "Show this help; -h does too.")
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

  /** Refuses an unknown device. */
  public void requireDevice() {
    boolean cuda = device.matches("cuda(:\\d{1,3})?");
    if (!cuda && !device.equals("auto") && !device.equals("cpu")) {
      throw new InvalidInputException(
          "--device must be auto, cpu or cuda[:N], not '" + device + "'");
    }
  }

  private String device() {
    requireDevice();
    return device;
  }

  /** Returns whether a GPU was asked for by name. */
  public boolean asksForGpu() {
    return device.startsWith("cuda");
  }

  /** Returns the GPU that would be used; null where none is wanted. */
  public String gpu() {
    return device.equals("cpu") ? null : asksForGpu() ? device : "cuda:0";
  }

  /** Returns the type to load a model as; null for the type of its files. */
  private DType dtype() {
    return switch (dtype) {
      case "auto" -> null;
      case "float32" -> DType.FLOAT32;
      case "bfloat16" -> DType.BFLOAT16;
      case "int8" -> DType.INT8;
      case "int4" -> DType.INT4;
      default ->
          throw new InvalidInputException(
              "--dtype must be auto, float32, bfloat16, int8 or int4, not '" + dtype + "'");
    };
  }

  /** Returns how a model is loaded with these options. */
  public T5.LoadOptions loadOptions() {
    return new T5.LoadOptions().device(device()).dtype(dtype()).threads(threads());
  }

  /** Returns how a classifier is loaded with these options. */
  public Classifier.LoadOptions classifierOptions() {
    if (loadsQuantized()) {
      throw new InvalidInputException(
          "--dtype %s is not for classifiers: score in float32 or bfloat16".formatted(dtype));
    }
    return new Classifier.LoadOptions().device(device()).dtype(dtype()).threads(threads());
  }

  /** Returns whether models are loaded as int8 or int4. */
  public boolean loadsQuantized() {
    DType type = dtype();
    return type != null && type.quantized();
  }

  /** Returns the type to train in: that on request, else float32. */
  public DType trainingType() {
    DType type = dtype();
    return type == null ? DType.FLOAT32 : type;
  }

  /** Returns the type to train all weights in, which int8 and int4 are not for. */
  public DType fullTrainingType() {
    if (loadsQuantized()) {
      throw new InvalidInputException(
          "--dtype %s is for weights that are frozen, and all are trained here: train in bfloat16"
              .formatted(dtype));
    }
    return trainingType();
  }

  /** Returns the options of a device for training. */
  public DeviceOptions deviceOptions() {
    return new DeviceOptions().device(device()).threads(threads()).manyRows(true);
  }

  /** Opens the device that these options name. */
  public Ops ops() {
    return Ops.open(deviceOptions());
  }
}
