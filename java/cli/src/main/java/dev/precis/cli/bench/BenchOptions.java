package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Declares the options of every measurement: the model, the shape of the input, the repeats. */
final class BenchOptions {
  private static final int FIRST_ID = 3;
  private static final int LAST_ID = 31999;

  @Mixin private BenchModel model = new BenchModel();

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "8",
      description = "Sequences in the batch (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Mixin private SourceTokens source = new SourceTokens();
  @Mixin private Repeats repeats = new Repeats();

  /** {@code --source}: how long the sources are. */
  static final class SourceTokens {
    @Option(
        names = "--source",
        paramLabel = "N",
        defaultValue = "256",
        description = "Source tokens of each sequence (default: ${DEFAULT-VALUE}).")
    private int source;

    int source(BaseCommand command) {
      command.requireAtLeast(1, "--source", source);
      return source;
    }
  }

  /** {@code --repeats}: how many runs are timed. */
  static final class Repeats {
    @Option(
        names = "--repeats",
        paramLabel = "N",
        defaultValue = "3",
        description = "Timed runs, after one to warm up (default: ${DEFAULT-VALUE}).")
    private int repeats;

    int repeats(BaseCommand command) {
      command.requireAtLeast(1, "--repeats", repeats);
      return repeats;
    }
  }

  /** {@code --new}: how many tokens are generated. */
  static final class NewTokens {
    @Option(
        names = "--new",
        paramLabel = "N",
        defaultValue = "64",
        description = "Tokens to generate for each sequence (default: ${DEFAULT-VALUE}).")
    private int newTokens;

    int newTokens(BaseCommand command) {
      command.requireAtLeast(1, "--new", newTokens);
      return newTokens;
    }
  }

  BenchModel model() {
    return model;
  }

  int batch() {
    return batch;
  }

  int source() {
    return source.source;
  }

  int repeats() {
    return repeats.repeats;
  }

  void check(BaseCommand command) {
    command.requireAtLeast(1, "--batch", batch);
    source.source(command);
    repeats.repeats(command);
  }

  /** Random token ids of a vocabulary. */
  static int[] randomTokens(Random random, int count, int vocabulary) {
    int last = Math.min(LAST_ID, vocabulary - 1);
    return random.ints(count, Math.min(FIRST_ID, last), last + 1).toArray();
  }

  /** A batch of random sources. */
  List<int[]> randomSources(long seed, int vocabulary) {
    return randomSources(seed, vocabulary, batch, source());
  }

  /** Random sources of equal length. */
  static List<int[]> randomSources(long seed, int vocabulary, int batch, int source) {
    Random random = new Random(seed);
    List<int[]> sources = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      sources.add(randomTokens(random, source, vocabulary));
    }
    return sources;
  }
}
