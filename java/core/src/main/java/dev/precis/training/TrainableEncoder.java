package dev.precis.training;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.TensorView;
import dev.precis.device.DeviceOptions;
import dev.precis.encoder.EncoderClassifier;
import dev.precis.encoder.EncoderConfig;
import dev.precis.encoder.EncoderFamily;
import dev.precis.encoder.EncoderWeights;
import dev.precis.io.AtomicFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.layers.WeightLoader;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * An encoder with a classification head under full fine-tuning, with float32 weights.
 *
 * <p>Not thread-safe.
 */
public final class TrainableEncoder extends Trainable {
  private final EncoderConfig config;
  private final Parameters parameters;
  private final Consumer<Path> companion;
  private final double deviation;
  private boolean freshHead;
  private EncoderWeights weights;
  private EncoderClassifier classifier;

  /**
   * Options of a model.
   *
   * @param labels of the classification head
   * @param dtype of the operands of matrix products: float32 or bfloat16
   * @param dropout rate of all layers; NaN: the configuration's
   * @param seed of randomly initialized weights
   * @param companion writes further files into the result's folder
   */
  public record Options(
      List<String> labels, DType dtype, float dropout, long seed, Consumer<Path> companion) {
    /** Copies the labels and checks the type. */
    public Options {
      labels = List.copyOf(labels);
      requireTrainingType(dtype);
    }
  }

  /**
   * Loads a model. Its classification head is kept if it has the same labels, or if both have one
   * label. Otherwise its output layer is initialized at random; an encoder without a head gets both
   * layers at random.
   *
   * @throws InvalidInputException where the folder cannot be used
   */
  public static TrainableEncoder of(Path folder, Options options, DeviceOptions device) {
    return built(
        new TrainableEncoder(folder, options, device),
        roberta -> {
          try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            roberta.read(checkpoint, options.seed);
          }
          roberta.pack();
        });
  }

  /**
   * Creates a model with transformers' initial values.
   *
   * @param folder with config.json and the tokenizer's files
   */
  public static TrainableEncoder fromScratch(Path folder, Options options, DeviceOptions device) {
    return built(
        new TrainableEncoder(folder, options, device),
        roberta -> {
          roberta.parameters.all().forEach(each -> roberta.initialize(each, options.seed));
          roberta.freshHead = true;
          roberta.pack();
        });
  }

  private TrainableEncoder(Path folder, Options options, DeviceOptions device) {
    EncoderConfig read = EncoderConfig.read(folder).withLabels(options.labels);
    read.requireTrainable();
    double range = Json.readObject(folder.resolve("config.json")).number("initializer_range", 0.02);
    super(folder, options.dtype, device);
    config = Float.isNaN(options.dropout) ? read : read.withDropout(options.dropout);
    deviation = range;
    companion = options.companion;
    parameters = new Parameters(config.tensorShapes(), ops(), arena());
  }

  private void pack() {
    weights = EncoderWeights.train(parameters, config, ops(), arena(), dtype());
    classifier = new EncoderClassifier(weights, ops(), dtype(), true);
  }

  private void read(Checkpoint checkpoint, long seed) {
    List<String> before = EncoderConfig.read(folder()).labels();
    boolean sameHead =
        before.equals(config.labels()) || before.size() == 1 && config.labels().size() == 1;
    EncoderFamily.Head head = config.family().head();
    // A BERT that was pretrained has the first layer, its pooler, without the second.
    boolean noDense = !checkpoint.contains(head.dense() + ".weight");
    boolean noOut = !checkpoint.contains(head.out() + ".weight");
    freshHead = noDense || noOut || !sameHead;
    Map<String, long[]> shapes = config.tensorShapes();
    for (Parameter parameter : parameters.all()) {
      String name = parameter.name();
      if (name.startsWith(head.out() + ".") && freshHead
          || name.startsWith(head.dense() + ".") && noDense) {
        initialize(parameter, seed);
        continue;
      }
      TensorView view = WeightLoader.view(checkpoint, name, shapes.get(name));
      parameter.value().write(view::toFloat32);
      checkpoint.release(name);
    }
    checkpoint.requireUnchanged();
  }

  /**
   * Initializes a parameter as transformers' encoders: normal with the configuration's standard
   * deviation; layer norms 1, biases 0.
   */
  private void initialize(Parameter parameter, long seed) {
    String name = parameter.name();
    if (name.endsWith(".bias")) {
      ops().zero(parameter.value());
      return;
    }
    boolean norm = parameter.source().shape().length == 1;
    SplitMix64 random =
        new SplitMix64(
            SplitMix64.mix(seed, Arrays.hashCode(name.getBytes(StandardCharsets.UTF_8))));
    parameter
        .value()
        .write(
            to -> {
              for (long i = 0; i < parameter.elements(); i++) {
                double value = norm ? 1 : random.normal() * deviation;
                to.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
              }
            });
  }

  public EncoderConfig config() {
    return config;
  }

  /** Returns true if the head's output layer was initialized at random rather than loaded. */
  public boolean freshHead() {
    return freshHead;
  }

  /** Returns the model with its present weights, which can be recorded on a tape. */
  public EncoderClassifier classifier() {
    return classifier;
  }

  @Override
  public Parameters parameters() {
    return parameters;
  }

  @Override
  public long weightBytes() {
    return Linear.bytes(weights.linears());
  }

  @Override
  public void update() {
    weights.update(ops());
  }

  /**
   * {@inheritDoc}
   *
   * <p>A Hugging Face folder with the tokenizer; its config.json has the head's labels.
   */
  @Override
  public void write(Path to, List<Parameter> extra) {
    super.write(to, extra);
    writeConfig(to);
    companion.accept(to);
  }

  private void writeConfig(Path to) {
    ObjectNode json = Json.readObject(folder().resolve("config.json")).node();
    ArrayNode architectures = json.putArray("architectures");
    architectures.add(config.family().architecture());
    json.put("model_type", config.family().modelType());
    json.remove(List.of("num_labels", "problem_type", "torch_dtype", "dtype"));
    json.put("dtype", "float32");
    ObjectNode names = json.putObject("id2label");
    ObjectNode ids = json.putObject("label2id");
    for (int i = 0; i < config.labels().size(); i++) {
      names.put(Integer.toString(i), config.labels().get(i));
      ids.put(config.labels().get(i), i);
    }
    AtomicFile.writeText(to.resolve("config.json"), json.toPrettyString() + "\n");
  }
}
