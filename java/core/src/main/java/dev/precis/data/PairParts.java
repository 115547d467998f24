package dev.precis.data;

import dev.precis.io.Printable;
import java.util.List;
import java.util.Optional;

/**
 * The prompt and the two answers of a row. TRL's formats are read: a prompt with answers, each a
 * text or messages; or both answers as whole conversations, which begin with the prompt.
 */
final class PairParts {
  private static final String NEEDED = "\"chosen\" and \"rejected\"";

  private final Row row;
  private final ColumnNames columns;
  private final String chosenKey;
  private final String rejectedKey;

  PairParts(Row row, ColumnNames columns) {
    this.row = row;
    this.columns = columns;
    chosenKey = key("chosen", columns.named().chosen());
    rejectedKey = key("rejected", columns.named().rejected());
  }

  private String key(String name, String named) {
    if (named != null) {
      String key = ColumnNames.required(row, named, name + " column");
      columns.remember(row, name, key);
      return key;
    }
    String key = row.find(name);
    if (key == null || !row.has(key)) {
      throw BadRowException.unusable(
          "%s has no \"%s\"; beside the prompt it needs %s, but its fields are: %s"
              .formatted(row.where(), name, NEEDED, row.fieldNames()));
    }
    return key;
  }

  /** Returns the pair. */
  PreferencePair pair() {
    boolean chosenIsList = Conversation.isConversation(row.fields().get(chosenKey));
    boolean rejectedIsList = Conversation.isConversation(row.fields().get(rejectedKey));
    if (chosenIsList != rejectedIsList) {
      throw BadRowException.unreadable(
          "%s: one of %s is a text and the other one a list of messages"
              .formatted(row.where(), NEEDED));
    }
    if (chosenIsList) {
      return ofConversations(
          Conversation.of(row, chosenKey), Conversation.of(row, rejectedKey), prompt());
    }
    String chosen = row.bounded(chosenKey, "an answer");
    String rejected = row.bounded(rejectedKey, "an answer");
    Conversation prompt = prompt();
    if (prompt != null) {
      return pair(prompt.prompt(), true, chosen, rejected);
    }
    if (hasText()) {
      Dialogue asked = DialogueParts.of(row, columns, false);
      return pair(asked.dialogue(), asked.raw(), chosen, rejected);
    }
    Optional<Conversation> first = Conversation.ofTranscript(chosen);
    Optional<Conversation> second = Conversation.ofTranscript(rejected);
    return first.isPresent() && second.isPresent()
        ? ofConversations(first.get(), second.get(), null)
        : ofTexts(chosen, rejected);
  }

  /** Returns the prompt if it is a list of messages, else null. */
  private Conversation prompt() {
    String key =
        columns.named().prompt() != null
            ? ColumnNames.required(row, columns.named().prompt(), "prompt column")
            : row.find("prompt");
    return key != null && Conversation.isConversation(row.fields().get(key))
        ? Conversation.of(row, key)
        : null;
  }

  private boolean hasText() {
    if (columns.named().dialogue() != null || columns.named().prompt() != null) {
      return true;
    }
    return ColumnNames.STANDARD.stream().anyMatch(name -> row.find(name) != null)
        || row.find("instruction") != null
        || row.find("question") != null;
  }

  private PreferencePair ofConversations(
      Conversation chosen, Conversation rejected, Conversation prompt) {
    Conversation start = prompt == null ? new Conversation(List.of()) : prompt;
    boolean whole = prompt == null || chosen.commonStart(prompt) == prompt.messages().size();
    if (prompt != null && !whole) {
      chosen = prompt.followedBy(chosen);
      rejected = prompt.followedBy(rejected);
    }
    int common = chosen.commonStart(rejected);
    if (common == chosen.messages().size() && common == rejected.messages().size()) {
      throw same();
    }
    if (common == chosen.messages().size() || common == rejected.messages().size()) {
      throw BadRowException.unusable(
          "%s: one of %s ends where the other one goes on, without an answer"
              .formatted(row.where(), NEEDED));
    }
    String text;
    boolean raw = true;
    if (common > 0) {
      text = chosen.first(common).prompt();
    } else if (!start.messages().isEmpty()) {
      text = start.prompt();
    } else {
      Dialogue asked = DialogueParts.of(row, columns, false);
      text = asked.dialogue();
      raw = asked.raw();
    }
    Conversation better = chosen.without(common);
    Conversation worse = rejected.without(common);
    if (better.messages().getFirst().role() == Conversation.Role.USER
        || worse.messages().getFirst().role() == Conversation.Role.USER) {
      throw BadRowException.unusable(
          "%s: the conversations of %s part at a message of the user, not at an answer"
              .formatted(row.where(), NEEDED));
    }
    return pair(text, raw, better.answer(), worse.answer());
  }

  /** Takes as the prompt what both texts begin with, to the end of a word. */
  private PreferencePair ofTexts(String chosen, String rejected) {
    if (chosen.strip().equals(rejected.strip())) {
      throw same();
    }
    int most = Math.min(chosen.length(), rejected.length());
    int common = 0;
    while (common < most && chosen.charAt(common) == rejected.charAt(common)) {
      common++;
    }
    boolean wordEnds =
        (common == chosen.length() || Character.isWhitespace(chosen.charAt(common)))
            && (common == rejected.length() || Character.isWhitespace(rejected.charAt(common)));
    while (!wordEnds && common > 0 && !Character.isWhitespace(chosen.charAt(common - 1))) {
      common--;
    }
    String prompt = chosen.substring(0, common).strip();
    if (prompt.isEmpty()) {
      throw BadRowException.unusable(
          "%s has no \"dialogue\" (nor \"text\" or \"prompt\"), and %s do not begin with the same prompt; its fields are: %s"
              .formatted(row.where(), NEEDED, row.fieldNames()));
    }
    columns.remember(row, "prompt", "what " + chosenKey + " and " + rejectedKey + " begin with");
    return pair(prompt, true, chosen.substring(common).strip(), rejected.substring(common).strip());
  }

  private PreferencePair pair(String text, boolean raw, String chosen, String rejected) {
    requireText(chosenKey, chosen);
    requireText(rejectedKey, rejected);
    if (text.isBlank()) {
      throw BadRowException.unusable(row.where() + ": the prompt is empty");
    }
    if (chosen.strip().equals(rejected.strip())) {
      throw same();
    }
    return new PreferencePair(row.id(), text, raw, chosen, rejected, margin(), row.where());
  }

  private void requireText(String key, String text) {
    if (text.isBlank()) {
      throw BadRowException.unusable(row.where() + ": \"" + Printable.of(key) + "\" is empty");
    }
  }

  private BadRowException same() {
    return BadRowException.unusable(
        "%s: \"%s\" and \"%s\" are the same, so that nothing is preferred"
            .formatted(row.where(), Printable.of(chosenKey), Printable.of(rejectedKey)));
  }

  private double margin() {
    Object margin = row.value("margin");
    if (margin != null) {
      return number("margin", margin);
    }
    Object better = row.value("score_chosen");
    Object worse = row.value("score_rejected");
    if (better == null || worse == null) {
      return 0;
    }
    double difference = score("score_chosen", better) - score("score_rejected", worse);
    if (difference < 0) {
      throw BadRowException.unusable(
          "%s: \"score_chosen\" is below \"score_rejected\", so that it is not the preferred answer"
              .formatted(row.where()));
    }
    columns.remember(row, "margin", "score_chosen - score_rejected");
    return difference;
  }

  private double number(String key, Object value) {
    double number = score(key, value);
    if (number < 0) {
      throw BadRowException.unreadable(
          "%s: \"%s\" must be a number of 0 or more, not %s"
              .formatted(row.where(), key, Printable.of(value.toString())));
    }
    return number;
  }

  private double score(String key, Object value) {
    try {
      double number = Double.parseDouble(value.toString());
      if (Double.isFinite(number)) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw BadRowException.unreadable(
        "%s: \"%s\" must be a number%s, not %s"
            .formatted(
                row.where(),
                key,
                key.equals("margin") ? " of 0 or more" : "",
                Printable.of(value.toString())));
  }

  /** Returns the answer in a field, a text or messages. */
  static String answer(Row row, String key) {
    return Conversation.isConversation(row.fields().get(key))
        ? requireAnswer(row, key, Conversation.of(row, key).answer())
        : row.nonBlank(key, "an answer");
  }

  private static String requireAnswer(Row row, String key, String answer) {
    if (answer.isBlank()) {
      throw BadRowException.unusable(row.where() + ": \"" + Printable.of(key) + "\" is empty");
    }
    return answer;
  }
}
