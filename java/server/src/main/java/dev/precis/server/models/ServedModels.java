package dev.precis.server.models;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Resources;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The models of a server, by the names that requests use. They are added before it starts, and
 * belong to this, which closes them.
 */
public final class ServedModels implements AutoCloseable {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._/-]{0,127}");

  private final Map<String, Served> byName = new LinkedHashMap<>();
  private final Map<String, T5> engines = new LinkedHashMap<>();
  private final Resources owned = new Resources();

  /**
   * A model that is served: either a generator or a classifier.
   *
   * @param base name of the model that it is an adapter of; null: it is none
   * @param generator generates text; null: it is a classifier
   * @param classifier null: it is a generator
   * @param since time at which it was added
   */
  public record Served(
      String name, String base, TextGenerator generator, TextClassifier classifier, Instant since) {

    /** Returns the model's tokenizer. */
    public Tokenizer tokenizer() {
      return generator != null ? generator.tokenizer() : classifier.tokenizer();
    }
  }

  /**
   * Adds a model that generates text.
   *
   * @throws InvalidInputException if the name is taken, or is none
   */
  public void add(String name, T5 t5) {
    owned.add(t5);
    add(new Served(name, null, new TextGenerator(t5, null), null, Instant.now()));
    engines.put(name, t5);
  }

  /**
   * Adds a classifier.
   *
   * @param flags labels that flag a text in moderations
   * @throws InvalidInputException if the name is taken, or is none, or if it has no such label
   */
  public void add(String name, Classifier classifier, List<String> flags) {
    owned.add(classifier);
    add(new Served(name, null, null, new TextClassifier(classifier, flags), Instant.now()));
  }

  /**
   * Adds a LoRA adapter of a model under a name of its own.
   *
   * @param base name of the model; null: the only one that generates text
   * @throws InvalidInputException if the name is taken, if there is no such model, or if the
   *     adapter does not fit it
   */
  public void addAdapter(String base, String name, Path folder) {
    String of = base;
    if (of == null) {
      if (engines.size() != 1) {
        throw new InvalidInputException(
            "The adapter %s needs the name of its model, one of %s, as in MODEL:%s=FOLDER"
                .formatted(name, engines.keySet(), name));
      }
      of = engines.keySet().iterator().next();
    }
    T5 t5 = engines.get(of);
    if (t5 == null) {
      throw new InvalidInputException(
          "The adapter %s is for the model %s, but there is none of this name: there is %s"
              .formatted(name, of, engines.keySet()));
    }
    add(new Served(name, of, new TextGenerator(t5, name), null, Instant.now()));
    t5.addAdapter(name, folder);
  }

  private void add(Served served) {
    if (!NAME.matcher(served.name).matches()) {
      throw new InvalidInputException(
          "'%s' is no name for a model: use up to 128 letters, digits, '.', '_', '-' and '/'"
              .formatted(served.name));
    }
    if (byName.putIfAbsent(served.name, served) != null) {
      throw new InvalidInputException(
          "Two models have the name %s: name one of them, as in other=FOLDER"
              .formatted(served.name));
    }
  }

  /** Returns all models, in the order in which they were added. */
  public List<Served> all() {
    return new ArrayList<>(byName.values());
  }

  /** Returns the models that generate text, without their adapters, by name. */
  public Map<String, T5> engines() {
    return Map.copyOf(engines);
  }

  /** Returns the model of a name; empty: there is none. */
  public Optional<Served> find(String name) {
    return Optional.ofNullable(byName.get(name));
  }

  /** Closes the models, which wait for their running calls. */
  @Override
  public void close() {
    owned.close();
  }
}
