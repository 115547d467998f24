package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The model that is measured: {@code --model}, or one of random weights by {@code --size}. */
final class BenchModel {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "The model: a folder, or a hub ID that was downloaded. It is never changed.")
  private String name;

  @Mixin private Size size = new Size();

  /** {@code --size}: the shape of a random model. */
  static final class Size {
    @Option(
        names = "--size",
        paramLabel = "SIZE",
        description =
            "A model of random weights, which takes the same time: mini, or FLAN-T5's small, base,"
                + " large or xl.")
    private String size;

    /**
     * Returns the shape that was named.
     *
     * @param otherwise where none was
     */
    RandomT5.Size of(BaseCommand command, RandomT5.Size otherwise) {
      return size == null
          ? otherwise
          : command.choice(RandomT5.Size.class, "--size", size, "mini, small, base, large or xl");
    }
  }

  /**
   * A model's folder while it is measured.
   *
   * @param random removes the folder; null where it is somebody's
   */
  record Folder(Path path, RandomT5 random) implements AutoCloseable {
    @Override
    public void close() {
      if (random != null) {
        random.close();
      }
    }
  }

  /** Finds the folder, or writes a random model into a temporary one. */
  Folder open(BaseCommand command) {
    RandomT5.Size shape = size.of(command, null);
    command.requireOneOf("--model", name, "--size", shape);
    if (shape == null) {
      return new Folder(command.resolve(name), null);
    }
    RandomT5 random = new RandomT5(shape);
    return new Folder(random.path(), random);
  }
}
