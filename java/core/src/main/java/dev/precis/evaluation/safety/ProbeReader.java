package dev.precis.evaluation.safety;

import dev.precis.evaluation.safety.Probe.Kind;
import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.Printable;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** Reads probes and groups of people from JSON lines, one object a line. */
public final class ProbeReader {
  /** The most lines with an object: each probe of toxicity is asked once for each group. */
  private static final int MOST = 10_000;

  private static final int MAX_BYTES = 50_000_000;
  private static final int LONGEST_TEXT = 100_000;
  private static final int LONGEST_NAME = 200;
  private static final int MOST_PHRASES = 100;

  private static final String IDENTITY = "identity";
  private static final Set<String> IDENTITY_KEYS =
      Set.of("kind", "set", "group", "person", "people", "terms");
  private static final Set<String> COMMON_KEYS = Set.of("kind", "id", "prompt", "dialogue");

  private final String name;
  private final List<Identity> identities = new ArrayList<>();
  private final List<Probe> probes = new ArrayList<>();
  private final List<String> places = new ArrayList<>(); // of the probes
  private final Set<String> ids = new HashSet<>();
  private final Set<String> groups = new HashSet<>();

  private ProbeReader(String name) {
    this.name = name;
  }

  /** Returns the probes that come with the library. */
  public static ProbeSet builtIn() {
    try (InputStream in = ProbeReader.class.getResourceAsStream("probes.jsonl")) {
      if (in == null) {
        throw new IllegalStateException("The library lacks its own file probes.jsonl");
      }
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return parse(text, "the built-in probes");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads a file.
   *
   * @throws InvalidInputException if it does not exist, or one of its lines is no probe and no
   *     group
   * @throws UncheckedIOException if it cannot be read
   */
  public static ProbeSet read(Path file) {
    return parse(BoundedFile.readText(file, MAX_BYTES, "a file of probes"), file.toString());
  }

  /**
   * Reads the lines of a text.
   *
   * @param name of the text, for messages
   * @throws InvalidInputException as {@link #read}
   */
  public static ProbeSet parse(String text, String name) {
    return new ProbeReader(name).lines(text);
  }

  private ProbeSet lines(String text) {
    int number = 0;
    for (String line : text.split("\n", -1)) {
      number++;
      if (!line.isBlank()) {
        String where = name + ", line " + number;
        if (identities.size() + probes.size() == MOST) {
          throw new InvalidInputException(
              where + ": a file may have " + MOST + " probes and groups");
        }
        object(Json.parseObject(number == 1 ? withoutMark(line) : line, where));
      }
    }
    if (probes.isEmpty()) {
      throw new InvalidInputException(name + " holds no probes");
    }
    for (int i = 0; i < probes.size(); i++) {
      checkSets(probes.get(i), places.get(i));
    }
    return new ProbeSet(name, identities, probes);
  }

  /** Removes the byte order mark, with which some editors begin a file. */
  private static String withoutMark(String line) {
    return line.startsWith("\ufeff") ? line.substring(1) : line;
  }

  private void object(JsonObject json) {
    String kind = json.text("kind");
    if (kind.equals(IDENTITY)) {
      identity(json);
      return;
    }
    for (Kind each : Kind.values()) {
      if (each.fileName().equals(kind)) {
        probe(each, json);
        return;
      }
    }
    throw json.wrong(
        "kind",
        IDENTITY
            + ", "
            + Arrays.stream(Kind.values()).map(Kind::fileName).collect(Collectors.joining(", ")));
  }

  private void identity(JsonObject json) {
    checkKeys(json, IDENTITY_KEYS);
    Identity identity =
        new Identity(
            phrase(json, "set"),
            phrase(json, "group"),
            phrase(json, "person"),
            phrase(json, "people"),
            phrases(json, "terms"));
    if (!groups.add(identity.group())) {
      throw new InvalidInputException(
          "%s: there are two groups named \"%s\""
              .formatted(json.where(), Printable.of(identity.group())));
    }
    identities.add(identity);
  }

  private void probe(Kind kind, JsonObject json) {
    checkKeys(json, keys(kind));
    String id = phrase(json, "id");
    if (!ids.add(id)) {
      throw new InvalidInputException(
          "%s: there are two probes with the id \"%s\"".formatted(json.where(), Printable.of(id)));
    }
    if (json.has("prompt") == json.has("dialogue")) {
      throw new InvalidInputException(
          json.where() + " must have either \"prompt\" or \"dialogue\"");
    }
    String key = json.has("prompt") ? "prompt" : "dialogue";
    Probe probe =
        new Probe(
            kind,
            id,
            text(json, key, LONGEST_TEXT),
            json.has("dialogue"),
            phrases(json, "sets"),
            phrases(json, "right"),
            phrases(json, "wrong"),
            phrases(json, "names"),
            phrases(json, "numbers"));
    check(probe, key, json);
    probes.add(probe);
    places.add(json.where());
  }

  private static Set<String> keys(Kind kind) {
    Set<String> keys = new HashSet<>(COMMON_KEYS);
    switch (kind) {
      case TOXICITY -> keys.add("sets");
      case QUESTION -> keys.add("right");
      case FACT -> keys.addAll(Set.of("right", "wrong"));
      case PRIVATE -> keys.addAll(Set.of("names", "numbers"));
      default -> {}
    }
    return keys;
  }

  /** Refuses a misspelled key, which would change what is measured without a word. */
  private static void checkKeys(JsonObject json, Set<String> known) {
    for (String key : json.keys()) {
      if (!known.contains(key)) {
        throw new InvalidInputException(
            "%s has the key \"%s\"; those of its kind are: %s"
                .formatted(
                    json.where(),
                    Printable.of(key),
                    known.stream().sorted().collect(Collectors.joining(", "))));
      }
    }
  }

  private static void check(Probe probe, String key, JsonObject json) {
    String text = probe.text();
    switch (probe.kind()) {
      case TOXICITY -> {
        if (!text.contains(Identity.PERSON) && !text.contains(Identity.PEOPLE)) {
          throw new InvalidInputException(
              "%s: \"%s\" must contain {person} or {people}, where the groups are swapped"
                  .formatted(json.where(), key));
        }
      }
      case QUESTION -> requireOne(probe.right(), "right", json);
      case FACT -> {
        requireOne(probe.right(), "right", json);
        requireOne(probe.wrong(), "wrong", json);
      }
      case PRIVATE -> {
        if (probe.names().isEmpty() && probe.numbers().isEmpty()) {
          throw new InvalidInputException(
              json.where() + " must have \"names\" or \"numbers\" that are private");
        }
        probe.names().forEach(each -> requireSaid(PhraseSearch.says(text, each), each, json));
        probe
            .numbers()
            .forEach(each -> requireSaid(PhraseSearch.saysNumber(text, each), each, json));
      }
      default -> {}
    }
  }

  private static void requireOne(List<String> phrases, String key, JsonObject json) {
    if (phrases.isEmpty()) {
      throw new InvalidInputException(
          "%s: \"%s\" must have a phrase or more".formatted(json.where(), key));
    }
  }

  private static void requireSaid(boolean said, String detail, JsonObject json) {
    if (!said) {
      throw new InvalidInputException(
          "%s: the text does not have \"%s\", so that it cannot be repeated"
              .formatted(json.where(), Printable.of(detail)));
    }
  }

  /** Refuses a template whose sets are unknown, or have nobody to swap with. */
  private void checkSets(Probe probe, String where) {
    if (probe.kind() != Kind.TOXICITY) {
      return;
    }
    Set<String> known = identities.stream().map(Identity::set).collect(Collectors.toSet());
    if (known.isEmpty()) {
      throw new InvalidInputException(
          where + " swaps groups, but the file has no line of the kind \"identity\"");
    }
    for (String set : probe.sets()) {
      if (!known.contains(set)) {
        throw new InvalidInputException(
            "%s: no group is of the set \"%s\"".formatted(where, Printable.of(set)));
      }
    }
    for (String set : known) {
      if (identities.stream().filter(each -> each.set().equals(set)).count() < 2) {
        throw new InvalidInputException(
            "%s: the set \"%s\" needs two groups or more, which are compared"
                .formatted(name, Printable.of(set)));
      }
    }
  }

  private static String phrase(JsonObject json, String key) {
    return text(json, key, LONGEST_NAME);
  }

  private static String text(JsonObject json, String key, int longest) {
    String text = json.text(key);
    if (text.isBlank() || text.length() > longest) {
      throw json.wrong(key, "a text of 1 to %,d characters".formatted(longest));
    }
    return text;
  }

  private static List<String> phrases(JsonObject json, String key) {
    List<String> phrases = json.texts(key);
    if (phrases.size() > MOST_PHRASES
        || phrases.stream().anyMatch(each -> each.isBlank() || each.length() > LONGEST_NAME)) {
      throw json.wrong(
          key,
          String.format(
              Locale.ROOT,
              "a list of at most %d texts of 1 to %d characters",
              MOST_PHRASES,
              LONGEST_NAME));
    }
    return phrases;
  }
}
