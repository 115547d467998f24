package dev.precis.tools.gpu;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * Predicts what the CUDA kernels reach on a GPU, from the launches in {@code
 * cuda-kernels/launches}, the machine code in {@code cuda-kernels/sass.tsv} and the GPUs in {@code
 * cuda-kernels/devices.tsv}. {@link TimingModel} has the formulas; {@code scripts/gpu-model --help}
 * lists the options.
 */
public final class GpuModel {
  /** Source tokens of the recorded launches, and those that a decoding step has behind it. */
  private static final int SOURCE = 256;

  private static final int DECODED = 32;
  private static final int TARGET = 64;
  private static final int RANK = 32;
  private static final int TOP = 5;

  /** Multiprocessors for which the launches were recorded. */
  private static final int RECORDED = 132;

  private final Path folder;
  private final List<Code> codes;

  GpuModel(Path root) throws IOException {
    folder = root.resolve("cuda-kernels");
    codes = Code.parse(Files.readString(folder.resolve("sass.tsv")));
  }

  public static void main(String[] args) {
    Locale.setDefault(Locale.ROOT);
    int status = 0;
    try {
      String name = "h100";
      boolean all = false;
      for (int i = 0; i < args.length; i++) {
        switch (args[i]) {
          case "--all" -> all = true;
          case "--device" -> {
            if (++i == args.length) {
              throw new IllegalArgumentException("--device needs a value.");
            }
            name = args[i];
          }
          default ->
              throw new IllegalArgumentException(
                  "'" + args[i] + "' is no option; see scripts/gpu-model --help.");
        }
      }
      GpuModel model = new GpuModel(Path.of("").toAbsolutePath());
      Device device = model.device(name);
      System.out.print(text(device, model.predict(device), all));
    } catch (NoSuchFileException e) {
      System.err.println(
          "gpu-model: there is no " + e.getMessage() + ": run it in the repository.");
      status = 2;
    } catch (IOException | UncheckedIOException | IllegalArgumentException e) {
      System.err.println("gpu-model: " + e.getMessage());
      status = 2;
    }
    System.exit(status);
  }

  /**
   * Returns a GPU of the table.
   *
   * @throws IllegalArgumentException with a sentence if it has no such row
   */
  Device device(String name) throws IOException {
    List<Device> devices = Device.parse(Files.readString(folder.resolve("devices.tsv")));
    return devices.stream()
        .filter(each -> each.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "--device is '%s': cuda-kernels/devices.tsv has %s."
                        .formatted(
                            name,
                            devices.stream().map(Device::name).collect(Collectors.joining(", ")))));
  }

  List<Launch> launches(String file) throws IOException {
    return Launch.parse(Files.readAllLines(folder.resolve("launches").resolve(file + ".tsv")));
  }

  /** Returns all predictions, in the order of the table. */
  List<Prediction> predict(Device device) throws IOException {
    TimingModel model = new TimingModel(device);
    List<Prediction> all = new ArrayList<>(kernels(model));
    for (int batch : new int[] {1, 128}) {
      Shape shape = Shape.base(batch, SOURCE, DECODED + 1, 0);
      List<Launch> launches = launches("decode-" + batch);
      List<Prediction.Cost> costs =
          Prediction.costs(model, launches, new Works(codes, shape).of(launches, true), true);
      double step = Prediction.sum(costs);
      if (batch == 1) {
        all.add(new Prediction("decoding, batch 1, a token", step, 350, "us", false, costs));
      } else {
        double share = 100 * shape.stepBytes() / device.bandwidth() / step;
        all.add(new Prediction("decoding, batch 128, of the floor", share, 60, "%", true, costs));
      }
    }
    List<Launch> launches = launches("lora-8");
    Shape shape = Shape.base(8, SOURCE, TARGET, RANK);
    List<Prediction.Cost> costs =
        Prediction.costs(model, launches, new Works(codes, shape).of(launches, false), false);
    all.add(
        new Prediction("LoRA step, batch 8", Prediction.sum(costs) / 1000, 6, "ms", false, costs));
    return all;
  }

  /** Returns those of single kernels: a product of 8192 x 768 x 768, and the choice of tokens. */
  private List<Prediction> kernels(TimingModel model) throws IOException {
    List<Launch> launches = launches("kernels");
    List<Work> works = new Works(codes, Shape.base(0, 0, 0, RANK)).of(launches, false);
    List<Prediction> all = new ArrayList<>();
    double frozen = model.time(launches.get(0), works.get(0), true).total();
    for (int i = 0; i < 2; i++) {
      int first = 1 + 3 * i;
      int ranks = i == 0 ? 16 : 32;
      String rank = ", rank " + ranks;
      List<Work> ofRanks = new Works(codes, Shape.base(0, 0, 0, ranks)).of(launches, false);
      for (int length : new int[] {1, 2}) {
        boolean forward = length == 1;
        int begin = forward ? first : first + 1;
        List<Prediction.Cost> costs =
            Prediction.costs(
                model,
                launches.subList(begin, begin + length),
                ofRanks.subList(begin, begin + length),
                true);
        all.add(
            new Prediction(
                "LoRA " + (forward ? "forward" : "backward") + rank,
                Prediction.sum(costs) / frozen,
                forward ? 1.10 : 1.25,
                "x frozen",
                false,
                costs));
      }
    }
    double[] targets = {8, 10, 16};
    for (int i = 0; i < targets.length; i++) {
      int at = 7 + i;
      List<Prediction.Cost> costs =
          Prediction.costs(model, launches.subList(at, at + 1), works.subList(at, at + 1), true);
      all.add(
          new Prediction(
              "sampling, rows: " + launches.get(at).clusters(),
              Prediction.sum(costs),
              targets[i],
              "us",
              false,
              costs));
    }
    return all;
  }

  /**
   * Returns the table, and below it the launches that cost the most.
   *
   * @param all true: of every prediction; false: of those that miss their targets
   */
  static String text(Device device, List<Prediction> predictions, boolean all) {
    StringBuilder text = new StringBuilder();
    text.append("Predicted on ").append(device.name()).append(", not measured\n\n");
    if (device.multiprocessors() != RECORDED) {
      text.append("The launches are those of a Hopper GPU with 132 multiprocessors.\n\n");
    }
    predictions.forEach(each -> text.append(each.line()).append('\n'));
    for (Prediction each : predictions) {
      if (each.met() && !all) {
        continue;
      }
      text.append('\n').append(each.name()).append('\n');
      double sum = Prediction.sum(each.costs());
      for (Prediction.Cost cost : each.costs().stream().limit(TOP).toList()) {
        text.append(
            "  %8.1f us %3.0f %%  %3d x %-46s %s%n"
                .formatted(
                    cost.microseconds(),
                    100 * cost.microseconds() / sum,
                    cost.count(),
                    cost.launch(),
                    cost.bound().name().toLowerCase(Locale.ROOT)));
      }
    }
    return text.toString();
  }
}
