package dev.precis.server.models;

import dev.precis.T5;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Resources;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** The models of a server, by the names that requests use. They are added before it starts. */
public final class ServedModels implements AutoCloseable {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._/-]{0,127}");

  private final Map<String, Served> byName = new LinkedHashMap<>();
  private final Resources owned = new Resources();

  /**
   * A model that is served.
   *
   * @param generator generates text
   * @param since time at which it was loaded
   */
  public record Served(String name, TextGenerator generator, Instant since) {}

  /**
   * Adds a model that generates text, which is closed with these.
   *
   * @throws InvalidInputException if the name is taken, or is none
   */
  public void add(String name, T5 t5) {
    owned.add(t5);
    add(new Served(name, new TextGenerator(t5), Instant.now()));
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
    return List.copyOf(byName.values());
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
