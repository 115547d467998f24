package dev.precis.training;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.ops.DistillationLoss;
import dev.precis.ops.Ops;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Training;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * Generalized knowledge distillation (Agarwal et al. 2023): a student learns a teacher's
 * distribution of each token, on the targets of the data or on targets that it samples itself with
 * its present weights. Neither model's logits ever exist whole.
 *
 * <p>Everything random is a function of the run's seed, the step and an example's number in it, so
 * that a resumed run continues bitwise identically.
 *
 * <p>Not thread-safe.
 */
public final class Distillation implements AutoCloseable {
  private static final long COIN = 0x636f696eL;
  private static final long SAMPLING = 0x73616d70L;

  /** An example of a step, whose target is the data's or the student's own. */
  record Item(Example example, boolean sampled) {
    /** Returns the tokens of the target. */
    int targetTokens() {
      return example.target().length;
    }
  }

  private final TrainableT5 student;
  private final Teacher teacher;
  private final DistillationOptions options;
  private final Generator generator; // null: the student samples nothing

  /**
   * Prepares the loss.
   *
   * @param teacher the caller owns it and must close it
   */
  public Distillation(TrainableT5 student, Teacher teacher, DistillationOptions options) {
    this.student = student;
    this.teacher = teacher;
    this.options = options;
    generator = options.onPolicy() > 0 ? new Generator(student.model()) : null;
  }

  /** Returns the teacher. */
  public Teacher teacher() {
    return teacher;
  }

  /** Returns the most tokens of a target that the student samples; 0: it samples none. */
  int sampledTokens() {
    return generator == null ? 0 : options.maxNewTokens();
  }

  /**
   * Allocates the memory that the student's sampling takes at most, and returns its bytes.
   *
   * @param sources their tokens
   * @param batchSize most sources that are decoded in one batch
   */
  long reserve(List<Integer> sources, int batchSize) {
    if (generator == null) {
      return 0;
    }
    int prompt = student.model().weights().promptTokens();
    List<Integer> longest =
        sources.stream()
            .map(each -> prompt + each)
            .sorted(Comparator.reverseOrder())
            .limit(batchSize)
            .toList();
    try {
      return generator.reserve(longest.size(), longest.getFirst(), 1, options.maxNewTokens())
          + generator.reserveEncoder(longest.stream().mapToLong(Integer::longValue).sum());
    } finally {
      student.ops().release();
    }
  }

  /**
   * Returns the examples of a step, some of them with targets that the student samples.
   *
   * @param seed of the run
   * @param step from 0
   * @param batchSize most sources that are decoded in one batch; changes nothing else
   */
  List<Item> items(List<Example> batch, long seed, long step, int batchSize) {
    List<Item> items = new ArrayList<>();
    List<Integer> sampled = new ArrayList<>();
    for (int i = 0; i < batch.size(); i++) {
      items.add(new Item(batch.get(i), false));
      double coin = new SplitMix64(SplitMix64.mix(seed, COIN, step, i)).uniform();
      if (coin < options.onPolicy()) {
        sampled.add(i);
      }
    }
    if (sampled.isEmpty()) {
      return items;
    }
    List<int[]> sources = sampled.stream().map(i -> batch.get(i).source()).toList();
    GenerationOptions sampling =
        GenerationOptions.builder()
            .sample(true)
            .temperature(1)
            .topK(0)
            .topP(1)
            .maxNewTokens(options.maxNewTokens())
            .maxSourceTokens(sources.stream().mapToInt(each -> each.length).max().orElseThrow())
            .seed(SplitMix64.mix(seed, SAMPLING, step))
            .build();
    try {
      List<List<GeneratedTokens>> targets =
          generator.generate(sources, sampling, batchSize, 0, null, null);
      for (int i = 0; i < sampled.size(); i++) {
        int[] source = sources.get(i);
        int[] target = targets.get(i).getFirst().tokens();
        items.set(sampled.get(i), new Item(new Example(source, target), true));
      }
    } finally {
      student.ops().release();
    }
    return items;
  }

  /**
   * Adds the gradients of some examples of a step to those of the parameters.
   *
   * @param first number of the first of them in the step
   * @param scale one over the tokens of the whole step's targets
   * @param seed of the dropout masks of the whole step
   * @param sums sums over tokens that those of these are added to: {@code loss}, {@code
   *     divergence}, {@code cross_entropy} of the data's targets, and their {@code labels}
   */
  void accumulate(
      FineTuning fineTuning,
      List<Item> items,
      int first,
      float scale,
      long seed,
      Map<String, Double> sums) {
    for (boolean sampled : new boolean[] {false, true}) {
      List<Example> examples = new ArrayList<>();
      List<Integer> numbers = new ArrayList<>();
      for (int i = 0; i < items.size(); i++) {
        if (items.get(i).sampled == sampled) {
          examples.add(items.get(i).example);
          numbers.add(first + i);
        }
      }
      if (!examples.isEmpty()) {
        int[] of = numbers.stream().mapToInt(Integer::intValue).toArray();
        accumulate(fineTuning, examples, of, scale, seed, !sampled, sums);
      }
    }
  }

  private void accumulate(
      FineTuning fineTuning,
      List<Example> examples,
      int[] numbers,
      float scale,
      long seed,
      boolean labelled,
      Map<String, Double> sums) {
    float labelWeight = labelled ? options.labelWeight() : 0;
    float weight = 1 - options.labelWeight();
    DistillationLoss.Coefficients coefficients =
        new DistillationLoss.Coefficients(
            options.temperature(), options.beta(), weight * scale, labelWeight * scale);
    DistillationLoss.Teacher read = teacher.read(examples);
    T5Training model = student.training();
    fineTuning.accumulate(
        examples,
        numbers,
        seed,
        (tape, hidden, labels) -> {
          Tensor divergences = tape.workspace().tensor(DType.FLOAT32, labels.dim(0));
          Tensor crossEntropies = tape.workspace().tensor(DType.FLOAT32, labels.dim(0));
          DistillationLoss.Outputs outputs =
              new DistillationLoss.Outputs(divergences, crossEntropies);
          model.distillationLoss(tape, hidden, labels, read, coefficients, outputs);
          double divergence = FineTuning.sum(divergences);
          double crossEntropy = FineTuning.sum(crossEntropies);
          sums.merge("loss", weight * divergence + labelWeight * crossEntropy, Double::sum);
          sums.merge("divergence", divergence, Double::sum);
          if (labelled) {
            sums.merge("cross_entropy", crossEntropy, Double::sum);
            sums.merge("labels", (double) labels.dim(0), Double::sum);
          }
        });
  }

  /** Returns the operations of both models. */
  Ops ops() {
    return student.ops();
  }

  @Override
  public void close() {
    if (generator != null) {
      generator.close();
    }
  }
}
