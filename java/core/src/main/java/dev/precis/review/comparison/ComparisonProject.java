package dev.precis.review.comparison;

import dev.precis.io.AtomicFile;
import dev.precis.io.BoundedFile;
import dev.precis.io.FileDigest;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Reason;
import dev.precis.review.Journal;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A comparison project: a folder with {@code project.json} (settings), {@code items.jsonl}
 * (dialogues and summaries), {@code choices.jsonl} (a {@link Journal}) and {@code secret} (from
 * which tokens are derived). Immutable, except for what is read from the journal.
 */
public final class ComparisonProject {
  private static final String SETTINGS = "project.json";
  private static final String ITEMS = "items.jsonl";
  private static final long MAX_ITEM_BYTES = 1L << 30;
  private static final int TOKEN_BYTES = 16;

  private final Path folder;
  private final ComparisonSettings settings;
  private final Map<String, ComparisonItem> items;
  private final ProjectSecret secret;

  private ComparisonProject(
      Path folder,
      ComparisonSettings settings,
      Map<String, ComparisonItem> items,
      ProjectSecret secret) {
    this.folder = folder;
    this.settings = settings;
    this.items = items;
    this.secret = secret;
  }

  /** Returns whether a folder holds a project. */
  public static boolean isProject(Path folder) {
    return Files.exists(folder.resolve(SETTINGS));
  }

  /**
   * Writes a project without choices into a folder.
   *
   * @throws InvalidInputException if it holds a project already, two items have the same id, or no
   *     two summaries differ
   */
  public static void create(Path folder, ComparisonSettings settings, List<ComparisonItem> items) {
    create(folder, settings, items, List.of());
  }

  /**
   * Writes a project whose answers were given elsewhere; see {@link #create(Path,
   * ComparisonSettings, List)}.
   */
  public static void create(
      Path folder, ComparisonSettings settings, List<ComparisonItem> items, List<Choice> choices) {
    if (isProject(folder)) {
      throw new InvalidInputException(folder + " holds a project already: name another folder");
    }
    requireUnique(items);
    if (items.stream().allMatch(item -> ComparisonPair.of(item).isEmpty())) {
      throw new InvalidInputException(
          "The summaries of each dialogue are the same, so that there is nothing to compare");
    }
    try {
      Files.createDirectories(folder);
      ProjectSecret.create(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + folder + ": " + Reason.of(e), e);
    }
    String lines = lines(items);
    AtomicFile.writeText(folder.resolve(ITEMS), lines);
    try (Journal journal = Journal.open(ChoiceLog.file(folder))) {
      journal.append(ChoiceLog.items(hash(lines), null));
      journal.append(choices.stream().map(Choice::json).toList());
    }
    // Last, because it makes the folder a project.
    writeSettings(folder, settings);
  }

  private static void requireUnique(List<ComparisonItem> items) {
    Set<String> ids = new HashSet<>();
    for (ComparisonItem item : items) {
      if (!ids.add(item.id())) {
        throw new InvalidInputException(
            "Two items have the id '%s': give every dialogue an id of its own"
                .formatted(item.id()));
      }
    }
  }

  private static void writeSettings(Path folder, ComparisonSettings settings) {
    AtomicFile.writeText(folder.resolve(SETTINGS), settings.json().toPrettyString() + "\n");
  }

  private static String lines(List<ComparisonItem> items) {
    StringBuilder lines = new StringBuilder();
    items.forEach(item -> lines.append(item.json()).append('\n'));
    return lines.toString();
  }

  private static String hash(String text) {
    return FileDigest.sha256().add(text).hex();
  }

  /**
   * Reads a project.
   *
   * @throws InvalidInputException if the folder holds none, or it was changed by other means
   */
  public static ComparisonProject read(Path folder) {
    if (!isProject(folder)) {
      throw new InvalidInputException(
          folder + " holds no comparison project: precis review start makes one");
    }
    ComparisonSettings settings = ComparisonSettings.of(Json.readObject(folder.resolve(SETTINGS)));
    Path file = folder.resolve(ITEMS);
    String lines = BoundedFile.readText(file, MAX_ITEM_BYTES, "items");
    List<String> hashes = ChoiceLog.itemHashes(Journal.read(ChoiceLog.file(folder)));
    // A process that ends within erase() leaves the items as they were before.
    if (!hashes.subList(Math.max(0, hashes.size() - 2), hashes.size()).contains(hash(lines))) {
      throw new InvalidInputException(
          file + " was changed by other means than this program after people had seen it");
    }
    Map<String, ComparisonItem> items = new LinkedHashMap<>();
    int number = 0;
    for (String line : lines.lines().toList()) {
      ComparisonItem item = ComparisonItem.of(Json.parseObject(line, file + ", line " + ++number));
      items.put(item.id(), item);
    }
    return new ComparisonProject(folder, settings, items, ProjectSecret.read(folder));
  }

  /** Returns its folder. */
  public Path folder() {
    return folder;
  }

  /** Returns its settings. */
  public ComparisonSettings settings() {
    return settings;
  }

  /** Returns its items in their order. */
  public List<ComparisonItem> items() {
    return List.copyOf(items.values());
  }

  /** Returns all pairs that people compare, item by item. */
  public List<ComparisonPair> pairs() {
    List<ComparisonPair> pairs = new ArrayList<>();
    items.values().forEach(item -> pairs.addAll(ComparisonPair.of(item)));
    return pairs;
  }

  /**
   * Returns the item of a choice.
   *
   * @throws InvalidInputException if there is none, or not as many texts as the choice is about
   */
  public ComparisonItem itemOf(RecordedChoice recorded) {
    Choice choice = recorded.choice();
    ComparisonItem item = items.get(choice.item());
    if (item == null
        || Math.max(choice.first(), choice.second()) >= item.texts().size()
        || choice.first() == choice.second()) {
      throw new InvalidInputException(
          "%s, line %d, is about two texts that %s does not have"
              .formatted(ChoiceLog.file(folder), recorded.number(), ITEMS));
    }
    return item;
  }

  /**
   * Reads the choices that are not undone, in their order. Another process may be adding to them.
   *
   * @throws InvalidInputException if the journal was changed by other means
   */
  public List<RecordedChoice> choices() {
    Path file = ChoiceLog.file(folder);
    List<RecordedChoice> choices = ChoiceLog.choices(file, Journal.read(file));
    choices.forEach(this::itemOf);
    return choices;
  }

  /** Returns the token by which an annotator is known; it is a secret. */
  public String token(String annotator) {
    return HexFormat.of().formatHex(secret.derive(TOKEN_BYTES, "token", annotator));
  }

  /** Returns the token of somebody who sees how far annotators agree; it is a secret. */
  public String managerToken(String name) {
    return HexFormat.of().formatHex(secret.derive(TOKEN_BYTES, "manager", name));
  }

  ProjectSecret secret() {
    return secret;
  }

  /**
   * Adds annotators and returns the project with them.
   *
   * @throws InvalidInputException if a name cannot be used
   */
  public ComparisonProject withAnnotators(List<String> names) {
    List<String> all = new ArrayList<>(settings.annotators());
    names.stream().filter(name -> !all.contains(name)).forEach(all::add);
    ComparisonSettings changed = settings.withAnnotators(all);
    writeSettings(folder, changed);
    return new ComparisonProject(folder, changed, items, secret);
  }

  /**
   * Gives the texts a reward model's scores, and returns the project with them. From then on the
   * pairs come first of which the model is least sure. Choices stay as they are.
   *
   * @param scored the project's items with scores, in their order
   * @param rewardModel the hash of the model's weights, which the journal keeps
   * @throws InvalidInputException if another process has the project open
   */
  public ComparisonProject withScores(List<ComparisonItem> scored, String rewardModel) {
    Map<String, ComparisonItem> changed = new LinkedHashMap<>();
    scored.forEach(item -> changed.put(item.id(), item));
    if (!List.copyOf(changed.keySet()).equals(List.copyOf(items.keySet()))) {
      throw new IllegalArgumentException("the scores are those of other items");
    }
    try (Journal journal = Journal.open(ChoiceLog.file(folder))) {
      replaceItems(journal, scored, rewardModel);
    }
    ComparisonSettings leastSure = settings.leastSure();
    writeSettings(folder, leastSure);
    return new ComparisonProject(folder, leastSure, changed, secret);
  }

  /** Writes items; the journal names them before they are there, and those before until then. */
  private void replaceItems(Journal journal, List<ComparisonItem> changed, String rewardModel) {
    String before = hash(lines(items()));
    if (!ChoiceLog.itemHashes(journal.entries()).getLast().equals(before)) {
      journal.append(ChoiceLog.items(before, null)); // a process ended between the two writes
    }
    String lines = lines(changed);
    journal.append(ChoiceLog.items(hash(lines), rewardModel));
    AtomicFile.writeText(folder.resolve(ITEMS), lines);
  }

  /**
   * Takes an item, its texts and all that was said of it out of a project for good. The chain of
   * the journal holds.
   *
   * @return whether there was one
   * @throws InvalidInputException if another process has the project open
   */
  public static boolean erase(Path folder, String id) {
    ComparisonProject project = read(folder);
    List<ComparisonItem> kept =
        project.items.values().stream().filter(item -> !item.id().equals(id)).toList();
    try (Journal journal = Journal.open(ChoiceLog.file(folder))) {
      int erased = journal.erase(content -> content.path("item").asString("").equals(id));
      if (kept.size() == project.items.size()) {
        return erased > 0;
      }
      project.replaceItems(journal, kept, null);
      return true;
    }
  }
}
