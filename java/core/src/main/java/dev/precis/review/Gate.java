package dev.precis.review;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Text that waits for people: nothing leaves before it is approved, as it is or edited. Every step
 * is an entry of a {@link Journal}, with who took it and when. Thread-safe.
 */
public final class Gate implements AutoCloseable {
  /** The state of a text. */
  public enum State {
    HELD,
    APPROVED,
    REJECTED,
    RELEASED
  }

  /**
   * A generated text as it arrived.
   *
   * @param id names it in the gate; ids are not used twice
   * @param source what it was generated from, such as a dialogue
   * @param model what generated it, with the hashes of model and adapters
   * @param reasons sentences that say why it is held; empty: everything is
   */
  public record Candidate(
      String id, String source, String text, Map<String, String> model, List<String> reasons) {
    /** Copies what it holds. */
    public Candidate {
      model = Map.copyOf(model);
      reasons = List.copyOf(reasons);
    }
  }

  /**
   * A text in the gate.
   *
   * @param text as it would be released: as it arrived, or as it was edited last
   * @param approvedBy who approved that text; an edit approves what it makes
   * @param rejection the reason; null if it is not rejected
   */
  public record Item(
      Candidate candidate, State state, String text, Set<String> approvedBy, String rejection) {}

  private final Journal journal;
  private final Map<String, Item> items;

  private Gate(Journal journal) {
    this.journal = journal;
    items = items(journal.entries());
  }

  /**
   * Opens a gate; one that does not exist is made.
   *
   * @throws InvalidInputException as {@link Journal#open} does
   */
  public static Gate open(Path file) {
    return new Gate(Journal.open(file));
  }

  /**
   * Reads a gate without changing it.
   *
   * @throws InvalidInputException as {@link Journal#read} does
   */
  public static List<Item> read(Path file) {
    return List.copyOf(items(Journal.read(file)).values());
  }

  /**
   * Puts a text into the gate.
   *
   * @throws InvalidInputException if its id is there already
   */
  public synchronized void hold(Candidate candidate) {
    if (items.containsKey(candidate.id())) {
      throw new InvalidInputException(
          "The queue holds a text of the id " + candidate.id() + " already");
    }
    ObjectNode entry = entry("held", candidate.id());
    entry.put("source", candidate.source());
    entry.put("text", candidate.text());
    ObjectNode model = entry.putObject("model");
    candidate.model().entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(each -> model.put(each.getKey(), each.getValue()));
    ArrayNode reasons = entry.putArray("reasons");
    candidate.reasons().forEach(reasons::add);
    append(entry);
  }

  /**
   * Approves a text as it is.
   *
   * @throws InvalidInputException if there is no such text, or it has left
   */
  public synchronized void approve(String id, String by) {
    decide(id, "approve", by);
  }

  /**
   * Rejects a text.
   *
   * @param reason is kept
   * @throws InvalidInputException if there is no such text, or it has left
   */
  public synchronized void reject(String id, String by, String reason) {
    require(!reason.isBlank(), "A rejection needs a reason");
    ObjectNode entry = decision(id, "reject", by);
    entry.put("reason", reason);
    append(entry);
  }

  /**
   * Replaces a text, which approves the new one; what others approved before does not count for it.
   *
   * @throws InvalidInputException if there is no such text, it has left, or the new one is empty
   */
  public synchronized void edit(String id, String by, String text) {
    require(!text.isBlank(), "An edited text must not be empty");
    ObjectNode entry = decision(id, "edit", by);
    entry.put("text", text);
    append(entry);
  }

  private void decide(String id, String action, String by) {
    append(decision(id, action, by));
  }

  private ObjectNode decision(String id, String action, String by) {
    require(!by.isBlank(), "A decision needs the name of who takes it");
    Item item = items.get(id);
    require(item != null, "The queue holds no text of the id " + id);
    require(item.state() != State.RELEASED, "The text of the id " + id + " was released already");
    ObjectNode entry = entry(action, id);
    entry.put("by", by);
    return entry;
  }

  /**
   * Returns the texts that may leave and marks them as released. They are marked before they are
   * returned: a crash in between loses none, for {@link #items} still has them.
   *
   * @param people how many different people must have approved a text
   */
  public synchronized List<Item> release(int people) {
    List<Item> leaving = new ArrayList<>();
    for (Item item : items.values()) {
      if (item.state() == State.APPROVED && item.approvedBy().size() >= people) {
        leaving.add(item);
      }
    }
    for (Item item : leaving) {
      append(entry("release", item.candidate().id()));
    }
    return leaving;
  }

  /**
   * Takes a text and all that was said of it out of the journal for good.
   *
   * @return whether there was one
   */
  public synchronized boolean erase(String id) {
    items.remove(id);
    return journal.erase(content -> content.path("id").asString("").equals(id)) > 0;
  }

  /** Returns all texts in the order in which they arrived. */
  public synchronized List<Item> items() {
    return List.copyOf(items.values());
  }

  private void append(ObjectNode content) {
    journal.append(content);
    apply(items, content);
  }

  private static ObjectNode entry(String action, String id) {
    ObjectNode entry = Json.mapper().createObjectNode();
    entry.put("action", action);
    entry.put("id", id);
    return entry;
  }

  private static void require(boolean holds, String sentence) {
    if (!holds) {
      throw new InvalidInputException(sentence);
    }
  }

  private static Map<String, Item> items(List<Journal.Entry> entries) {
    Map<String, Item> items = new LinkedHashMap<>();
    for (Journal.Entry entry : entries) {
      if (entry.content() != null) {
        apply(items, entry.content());
      }
    }
    return items;
  }

  private static void apply(Map<String, Item> items, ObjectNode content) {
    String id = content.path("id").asString("");
    if (content.path("action").asString("").equals("held")) {
      items.put(id, arrived(id, content));
    } else {
      items.computeIfPresent(id, (same, item) -> after(item, content));
    }
  }

  private static Item arrived(String id, ObjectNode content) {
    Map<String, String> model = new LinkedHashMap<>();
    content
        .path("model")
        .propertyStream()
        .forEach(each -> model.put(each.getKey(), each.getValue().asString("")));
    List<String> reasons =
        content.path("reasons").valueStream().map(each -> each.asString("")).toList();
    String text = content.path("text").asString("");
    Candidate candidate =
        new Candidate(id, content.path("source").asString(""), text, model, reasons);
    return new Item(candidate, State.HELD, text, Set.of(), null);
  }

  private static Item after(Item item, ObjectNode content) {
    String by = content.path("by").asString("");
    return switch (content.path("action").asString("")) {
      case "approve" -> {
        Set<String> people =
            item.state() == State.REJECTED ? new TreeSet<>() : new TreeSet<>(item.approvedBy());
        people.add(by);
        yield new Item(item.candidate(), State.APPROVED, item.text(), people, null);
      }
      case "edit" ->
          new Item(
              item.candidate(),
              State.APPROVED,
              content.path("text").asString(""),
              new LinkedHashSet<>(Set.of(by)),
              null);
      case "reject" ->
          new Item(
              item.candidate(),
              State.REJECTED,
              item.text(),
              Set.of(),
              content.path("reason").asString(""));
      case "release" ->
          new Item(
              item.candidate(), State.RELEASED, item.text(), item.approvedBy(), item.rejection());
      default -> item; // of a later version
    };
  }

  @Override
  public void close() {
    journal.close();
  }
}
