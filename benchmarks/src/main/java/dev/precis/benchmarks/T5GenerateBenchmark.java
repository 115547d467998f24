package dev.precis.benchmarks;

import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Greedy generation end to end: encoder, decoder, choice of tokens, for a batch of sources. The
 * weights are random, which costs exactly what trained ones cost; no sequence ends early.
 */
// A generation takes a tenth of a second to a few seconds.
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class T5GenerateBenchmark extends MeasuredBenchmark {
  private static final int[] CHECKED_SOURCE = {17, 5, 230, 1};
  private static final int CHECKED_TOKENS = 3;

  /** The shape: batch x source tokens x new tokens. */
  @Param({"1x256x64", "8x256x64"})
  String shape;

  @Param({"float32", "bfloat16", "int8"})
  String dtype;

  /** The model's size: base, or tiny for tests. */
  @Param("base")
  String size;

  private T5 model;
  private List<int[]> sources;
  private GenerationOptions options;

  /** Makes a checkpoint, loads it and checks what it generates. */
  @Setup(Level.Trial)
  public void setUp() {
    DType type = DType.valueOf(dtype.toUpperCase(Locale.ROOT));
    RandomCheckpoint checkpoint = RandomCheckpoint.ofSize(size);
    checkpoint.use(
        folder -> {
          model = T5.load(folder, new T5.LoadOptions().device(device).dtype(type).threads(threads));
          verifyTokens(folder, type);
        });
    SplittableRandom random = new SplittableRandom(1);
    sources =
        IntStream.range(0, size(0))
            .mapToObj(i -> random.ints(size(1), 3, checkpoint.vocabulary()).toArray())
            .toList();
    options = exactly(size(2));
    verifyBatch();
  }

  private static GenerationOptions exactly(int tokens) {
    return GenerationOptions.builder().maxNewTokens(tokens).minNewTokens(tokens).build();
  }

  /** Checks that each token of a short generation is the reference's best, up to rounding. */
  private void verifyTokens(Path folder, DType type) {
    GeneratedTokens got =
        model
            .generateTokens(List.of(CHECKED_SOURCE), exactly(CHECKED_TOKENS), 1, null)
            .getFirst()
            .getFirst();
    int[] tokens = got.tokens();
    int[] inputs = new int[CHECKED_TOKENS];
    inputs[0] = model.config().decoderStartTokenId();
    System.arraycopy(tokens, 0, inputs, 1, CHECKED_TOKENS - 1);
    double[][] logits;
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      logits = new ReferenceT5(checkpoint, model.config()).logits(CHECKED_SOURCE, inputs);
    }
    double tolerance =
        switch (type) {
          case FLOAT32 -> 1e-3;
          case BFLOAT16 -> 3e-2;
          default -> 8e-2;
        };
    double score = 0;
    for (int t = 0; t < CHECKED_TOKENS; t++) {
      score += Reference.logSoftmax(logits[t])[tokens[t]];
      // No end token is allowed before the last.
      logits[t][model.config().eosTokenId()] = Double.NEGATIVE_INFINITY;
      double best = Arrays.stream(logits[t]).max().orElseThrow();
      check(
          best - logits[t][tokens[t]] <= tolerance * Math.abs(best),
          "token %d is %d with logit %g, the best is %g"
              .formatted(t, tokens[t], logits[t][tokens[t]], best));
    }
    check(
        Math.abs(score - got.score()) <= tolerance * Math.abs(score),
        "the score is %g, not %g".formatted(got.score(), score));
  }

  /** Checks that batched and unbatched generation agree, and that no sequence ends early. */
  private void verifyBatch() {
    List<List<GeneratedTokens>> batch = generate();
    for (int i = 0; i < sources.size(); i++) {
      int[] tokens = batch.get(i).getFirst().tokens();
      check(tokens.length == size(2), tokens.length + " tokens");
      if (i == 0 || i == sources.size() - 1) {
        List<int[]> alone = sources.subList(i, i + 1);
        check(
            Arrays.equals(
                tokens,
                model.generateTokens(alone, options, 1, null).getFirst().getFirst().tokens()),
            "source " + i + " gives other tokens in a batch");
      }
    }
  }

  /** Generates for the whole batch. */
  @Benchmark
  public List<List<GeneratedTokens>> generate() {
    return model.generateTokens(sources, options, sources.size(), null);
  }

  /** Closes the model. */
  @TearDown(Level.Trial)
  public void tearDown() {
    if (model != null) {
      model.close();
      model = null;
    }
  }

  @Override
  String op() {
    return "t5_generate/" + size;
  }

  @Override
  Work work() {
    return Work.counted((double) size(0) * size(2), "tokens/s");
  }
}
