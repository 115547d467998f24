package dev.precis.cli.bench;

import dev.precis.T5;
import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.policy.Rollout;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.Resources;
import dev.precis.lora.LoraConfig;
import dev.precis.ops.OpTimer;
import dev.precis.t5.T5Work;
import dev.precis.t5.T5Work.Amount;
import dev.precis.t5.T5Work.Part;
import dev.precis.tensor.DType;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.IntConsumer;

/**
 * A run that is held to a floor: its least work by formulas, the run itself, and the timer of its
 * operations.
 */
final class RooflineMode implements AutoCloseable {
  /** Adapters of every attention's q and v. */
  private static final List<String> TARGETS = List.of("q", "v");

  /**
   * The sizes of a run.
   *
   * @param target tokens that are generated, or of a target
   * @param miniBatch responses of an update of PPO
   */
  record Sizes(int batch, int source, int target, int rank, int miniBatch) {}

  private final String name;
  private final DType dtype;
  private final Sizes sizes;
  private final Resources resources = new Resources();
  private Map<Part, Amount> work;
  private long readBytes;
  private long updateBytes;
  private IntConsumer run;
  private OpTimer timer;

  private RooflineMode(String name, DType dtype, Sizes sizes) {
    this.name = name;
    this.dtype = dtype;
    this.sizes = sizes;
  }

  private interface Preparation {
    void prepare(RooflineMode mode);
  }

  private static RooflineMode prepared(
      String name, DType dtype, Sizes sizes, Preparation preparation) {
    RooflineMode mode = new RooflineMode(name, dtype, sizes);
    try {
      preparation.prepare(mode);
      return mode;
    } catch (RuntimeException | Error e) {
      mode.close();
      throw e;
    }
  }

  /** Generates greedily, exactly as many tokens as asked for. */
  static RooflineMode generation(RandomT5 model, DType dtype, Sizes sizes, int threads, long seed) {
    return prepared("generate", dtype, sizes, mode -> mode.generate(model, threads, seed));
  }

  private void generate(RandomT5 model, int threads, long seed) {
    T5 t5 =
        resources.add(
            T5.load(
                model.path(), new T5.LoadOptions().device("cpu").dtype(dtype).threads(threads)));
    List<int[]> sources =
        BenchOptions.randomSources(seed, model.config().vocabSize(), sizes.batch, sizes.source);
    GenerationOptions options =
        GenerationOptions.builder()
            .maxNewTokens(sizes.target)
            .minNewTokens(sizes.target)
            .maxSourceTokens(sizes.source)
            .build();
    T5Work formulas = formulas(model);
    work = formulas.generation(sizes.batch, sizes.source, sizes.target);
    readBytes = (long) formulas.stepBytes(sizes.batch, sizes.source, sizes.target);
    timer = t5.model().ops().timer();
    run = number -> t5.generateTokens(sources, options, sizes.batch, null);
  }

  private T5Work formulas(RandomT5 model) {
    return new T5Work(model.config(), dtype.packedBytes(1), dtype.activations().bytes());
  }

  private TrainableT5 adapted(RandomT5 model, int threads, long seed) {
    return resources.add(
        TrainableT5.lora(
            model.path(),
            new LoraConfig(sizes.rank, sizes.rank, 0, TARGETS, false),
            dtype,
            0,
            seed,
            new DeviceOptions().device("cpu").threads(threads).manyRows(true)));
  }

  /** Takes a step of LoRA: forward, backward, AdamW, without dropout. */
  static RooflineMode lora(RandomT5 model, DType dtype, Sizes sizes, int threads, long seed) {
    return prepared("sft", dtype, sizes, mode -> mode.train(model, threads, seed));
  }

  private void train(RandomT5 model, int threads, long seed) {
    TrainableT5 t5 = adapted(model, threads, seed);
    FineTuning fineTuning = resources.add(new FineTuning(t5, 0, false));
    Arena arena = Arena.ofShared();
    resources.add(arena::close);
    Optimizer optimizer =
        Optimizer.create(
            Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f), t5.parameters(), t5.ops(), arena);
    Random random = new Random(seed);
    List<Example> examples = new ArrayList<>();
    int vocabulary = model.config().vocabSize();
    for (int i = 0; i < sizes.batch; i++) {
      examples.add(
          new Example(
              BenchOptions.randomTokens(random, sizes.source, vocabulary),
              BenchOptions.randomTokens(random, sizes.target, vocabulary)));
    }
    T5Work formulas = formulas(model);
    work = formulas.loraStep(sizes.batch, sizes.source, sizes.target, sizes.rank);
    trainingBytes(formulas);
    timer = t5.ops().timer();
    run =
        number -> {
          t5.parameters().clearGradients();
          fineTuning.accumulate(examples, 1f / (sizes.batch * sizes.target), seed + number);
          optimizer.step(number + 2, 1e-3f, 1);
          t5.update();
        };
  }

  private void trainingBytes(T5Work formulas) {
    readBytes =
        (long)
            (dtype.bytes()
                * (formulas.encoderWeights()
                    + formulas.crossWeights()
                    + formulas.decoderWeights()
                    + formulas.headWeights()));
    updateBytes = (long) (16 * formulas.loraParameters(sizes.rank));
  }

  /** Takes a step of PPO: rollout, reward, update of one epoch. */
  static RooflineMode ppo(
      RandomT5 model,
      DType dtype,
      Sizes sizes,
      RandomRewardModel.Shape reward,
      int threads,
      long seed) {
    return prepared("ppo", dtype, sizes, mode -> mode.align(model, reward, threads, seed));
  }

  private void align(RandomT5 model, RandomRewardModel.Shape shape, int threads, long seed) {
    PpoOptions options =
        PpoOptions.builder()
            .batch(each -> each.batchSize(sizes.batch).miniBatchSize(sizes.miniBatch))
            .optimization(optimization -> optimization.ppoEpochs(1))
            .sampling(sampling -> sampling.maxNewTokens(sizes.target).minNewTokens(sizes.target))
            .loss(loss -> loss.entropyCoefficient(0.01f))
            .seed(seed)
            .build();
    TrainableT5 t5 = adapted(model, threads, seed);
    Reference reference =
        resources.add(
            Reference.open(
                "base",
                t5,
                any -> {
                  throw new IllegalStateException("The base model needs no folder.");
                }));
    Ppo ppo = resources.add(new Ppo(t5, reference, null, options));
    RandomRewardModel reward = resources.add(new RandomRewardModel(t5, shape));
    List<Prompt> prompts = new ArrayList<>();
    for (int[] ids :
        BenchOptions.randomSources(seed, model.config().vocabSize(), sizes.batch, sizes.source)) {
      prompts.add(new Prompt("prompt " + (prompts.size() + 1), "", ids, List.of()));
    }
    T5Work formulas = formulas(model);
    work = formulas.ppoStep(sizes.batch, sizes.source, sizes.target, sizes.rank, sizes.miniBatch);
    work.put(Part.REWARD, new Amount(shape.multiplications(sizes.batch, sizes.target), 0));
    trainingBytes(formulas);
    timer = t5.ops().timer();
    run =
        number -> {
          Rollout rollout = ppo.rollout(prompts, number + 1);
          double[] scores = timer.in(OpTimer.Section.REWARD, () -> reward.score(rollout.samples()));
          ppo.update(rollout, scores);
        };
  }

  String name() {
    return name;
  }

  DType dtype() {
    return dtype;
  }

  Sizes sizes() {
    return sizes;
  }

  /** Returns the least work of a run, by part. */
  Map<Part, Amount> work() {
    return work;
  }

  /** Returns the size of the array that reading is measured on: a step's bytes, or all weights. */
  long readBytes() {
    return readBytes;
  }

  /** Returns the size of the array that updating is measured on; 0 where nothing is updated. */
  long updateBytes() {
    return updateBytes;
  }

  /** Runs once and returns its seconds; the first run has the number -1. */
  double seconds(int number) {
    long start = System.nanoTime();
    run.accept(number);
    return (System.nanoTime() - start) / 1e9;
  }

  /** Runs once with the timer on. */
  Map<Part, OpTimer.Total> profile(int number) {
    timer.start();
    try {
      run.accept(number);
    } finally {
      timer.stop();
    }
    return T5Work.parts(timer);
  }

  @Override
  public void close() {
    resources.close();
  }
}
