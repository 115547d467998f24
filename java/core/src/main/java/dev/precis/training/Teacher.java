package dev.precis.training;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.DistillationLoss;
import dev.precis.t5.T5Config;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.t5.T5Weights;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import dev.precis.text.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/**
 * A frozen T5 that a student learns from, on the student's device and in its type. Its size is its
 * own, its vocabulary the student's.
 *
 * <p>Not thread-safe.
 */
public final class Teacher implements AutoCloseable {
  private final T5Model model;
  private final Workspace workspace;
  private final Arena arena;

  private Teacher(T5Model model, Arena arena) {
    this.model = model;
    this.arena = arena;
    workspace = model.ops().newWorkspace();
  }

  /**
   * Loads a teacher.
   *
   * @param folder of its model, with its tokenizer
   * @param adapters folders of LoRA adapters on it, whose effects add up; may be empty
   * @param student who learns from it; it must live as long as the teacher
   * @throws InvalidInputException where its vocabulary is not the student's, or an adapter cannot
   *     be used
   */
  public static Teacher load(Path folder, List<Path> adapters, TrainableT5 student) {
    T5Config config = T5Config.read(folder);
    requireSameVocabulary(folder, config, student);
    Arena arena = Arena.ofShared();
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      T5Weights weights = T5Weights.load(checkpoint, config, student.ops(), arena, student.dtype());
      List<PeftAdapter> opened = adapters.stream().map(PeftAdapter::open).toList();
      try {
        for (PeftAdapter adapter : opened) {
          adapter.requireMergeable("a teacher has LoRA adapters or none");
          adapter.requireAddsOnly("merge it, and name the result as the teacher");
        }
        weights.pack(opened, student.ops(), arena).use();
      } finally {
        opened.forEach(PeftAdapter::close);
      }
      Teacher teacher = new Teacher(new T5Model(weights, student.ops(), student.dtype()), arena);
      teacher.model.plainHead(); // refuses an adapter of the output layer
      return teacher;
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  private static void requireSameVocabulary(Path folder, T5Config config, TrainableT5 student) {
    T5Config own = student.config();
    if (config.vocabSize() != own.vocabSize()) {
      throw new InvalidInputException(
          "The teacher %s has a vocabulary of %d tokens, the student %s one of %d: distillation needs the same tokenizer"
              .formatted(folder, config.vocabSize(), student.folder(), own.vocabSize()));
    }
    if (config.decoderStartTokenId() != own.decoderStartTokenId()) {
      throw new InvalidInputException(
          "The teacher %s begins with the token %d, the student %s with %d: distillation needs the same tokenizer"
              .formatted(
                  folder,
                  config.decoderStartTokenId(),
                  student.folder(),
                  own.decoderStartTokenId()));
    }
    try (Tokenizer its = Tokenizer.load(folder);
        Tokenizer ours = Tokenizer.load(student.folder())) {
      if (its.vocabularySize() != ours.vocabularySize()) {
        throw new InvalidInputException(
            "The teacher's tokenizer %s has %d tokens, the student's %s has %d: distillation needs the same tokenizer"
                .formatted(folder, its.vocabularySize(), student.folder(), ours.vocabularySize()));
      }
      for (int id = 0; id < ours.vocabularySize(); id++) {
        if (!Objects.equals(its.idToToken(id), ours.idToToken(id))) {
          throw new InvalidInputException(
              "The token %d is '%s' to the teacher %s and '%s' to the student %s: distillation needs the same tokenizer"
                  .formatted(id, its.idToToken(id), folder, ours.idToToken(id), student.folder()));
        }
      }
    }
  }

  /** Returns the bytes of its weights. */
  public long weightBytes() {
    T5Weights weights = model.weights();
    long bytes = weights.embedding().value().address().byteSize();
    return bytes + weights.linears().stream().mapToLong(l -> l.packed().memory().byteSize()).sum();
  }

  /**
   * Computes what the output layer reads, for each token of the targets.
   *
   * @return (target tokens, the teacher's dModel), until the next call
   */
  DistillationLoss.Teacher read(List<Example> examples) {
    workspace.reset();
    List<int[]> sources = examples.stream().map(Example::source).toList();
    List<int[]> targets = examples.stream().map(Example::target).toList();
    Ragged target = TeacherForcing.inputs(targets, model.config(), workspace);
    Encoded encoded = model.encode(model.sources(sources, workspace), workspace);
    Tensor hidden = model.decode(encoded, target, workspace);
    return new DistillationLoss.Teacher(hidden, model.plainHead());
  }

  /** Returns the bytes of activations that so many tokens take, and allocates them. */
  long reserve(long sourceTokens, long targetTokens) {
    long bytes = StepMemory.plan(model.ops(), workspace, sourceTokens, targetTokens, this::measure);
    workspace.reserve(bytes);
    return bytes;
  }

  private void measure(int sourceTokens, int targetTokens, int count) {
    int[] source = new int[sourceTokens];
    int[] target = new int[targetTokens];
    Arrays.fill(source, model.config().eosTokenId());
    Arrays.fill(target, model.config().eosTokenId());
    read(Collections.nCopies(count, new Example(source, target)));
  }

  /** Returns the most memory that activations took since {@link #reserve}, in bytes. */
  long peak() {
    return workspace.peak();
  }

  @Override
  public void close() {
    workspace.close();
    arena.close();
  }
}
