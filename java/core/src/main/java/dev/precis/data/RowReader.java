package dev.precis.data;

import dev.precis.io.Printable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Makes of rows what the readers return. */
final class RowReader {
  private final ColumnNames columns;

  RowReader(ColumnNames columns) {
    this.columns = columns;
  }

  /**
   * Returns a dialogue.
   *
   * @param needsSummary whether a row without a summary is a bad one
   */
  Dialogue dialogue(Row row, boolean needsSummary) {
    return DialogueParts.of(row, columns, needsSummary);
  }

  /** Returns a prompt with two answers to it. */
  PreferencePair pair(Row row) {
    return new PairParts(row, columns).pair();
  }

  /** Returns a prompt with an answer that was labelled good or bad. */
  Feedback feedback(Row row) {
    String completion =
        columns.named().summary() != null
            ? ColumnNames.required(row, columns.named().summary(), "summary column")
            : row.find("completion");
    if (completion == null || !row.has(completion)) {
      throw BadRowException.unusable(
          "%s has no \"completion\"; beside the prompt it needs \"completion\" and \"label\", but its fields are: %s"
              .formatted(row.where(), row.fieldNames()));
    }
    String answer = PairParts.answer(row, completion);
    Object prompt = columns.named().prompt() == null ? row.value("prompt") : null;
    String text;
    boolean raw = true;
    if (Conversation.isConversation(prompt)) {
      text =
          DialogueParts.prompt(row, row.find("prompt"), Conversation.of(row, row.find("prompt")));
    } else {
      Dialogue asked = dialogue(row, false);
      text = asked.dialogue();
      raw = asked.raw();
    }
    return new Feedback(row.id(), text, raw, answer, label(row), row.where());
  }

  private static boolean label(Row row) {
    Object label = row.value("label");
    if (label == null) {
      throw BadRowException.unusable(
          "%s has no \"label\", which says whether the completion is good: true or false"
              .formatted(row.where()));
    }
    return switch (label.toString().strip().toLowerCase(Locale.ROOT)) {
      case "true", "1", "1.0" -> true;
      case "false", "0", "0.0" -> false;
      default ->
          throw BadRowException.unreadable(
              row.where() + ": \"label\" must be true or false, or 1 or 0");
    };
  }

  /**
   * Returns a text to evaluate, which may be empty.
   *
   * @param keys the fields that it can be in; the first that is present counts
   */
  TextRow text(Row row, List<String> keys) {
    return text(row, keys, List.of("prompt"));
  }

  /**
   * Returns a text to evaluate, and what it answers.
   *
   * @param keys the fields that the text can be in; the first that is present counts
   * @param promptKeys likewise of what it answers, which may be missing
   */
  TextRow text(Row row, List<String> keys, List<String> promptKeys) {
    String key = null;
    for (String each : keys) {
      String found = row.find(each);
      if (key == null && found != null && row.has(found)) {
        key = found;
      }
    }
    if (key == null) {
      throw BadRowException.unreadable(
          "%s has no \"%s\"%s; its fields are: %s"
              .formatted(
                  row.where(),
                  Printable.of(keys.getFirst()),
                  keys.size() == 1
                      ? ""
                      : " (nor \"" + String.join("\" or \"", keys.subList(1, keys.size())) + "\")",
                  row.fieldNames()));
    }
    String text = row.bounded(key, "a text");
    String promptKey = null;
    for (String each : promptKeys) {
      String found = row.find(each);
      if (promptKey == null && found != null && row.has(found) && !found.equals(key)) {
        promptKey = found;
      }
    }
    String prompt =
        promptKey == null
            ? null
            : Conversation.isConversation(row.fields().get(promptKey))
                ? Conversation.of(row, promptKey).prompt()
                : row.text(promptKey);
    return new TextRow(row.id(), text, prompt, row.where());
  }

  /** Returns a text and its label. */
  LabelledText labelled(Row row, List<String> keys) {
    TextRow text = text(row, keys);
    String labelKey = row.find("label");
    String label =
        switch (labelKey == null ? null : row.fields().get(labelKey)) {
          case null ->
              throw BadRowException.unusable(
                  "%s has no \"label\"; its fields are: %s"
                      .formatted(row.where(), row.fieldNames()));
          case String name -> row.checked(labelKey, name, "must be a text").strip();
          case Integer number -> number.toString();
          case Long number -> number.toString();
          case Boolean flag -> flag.toString();
          default ->
              throw BadRowException.unreadable(
                  row.where() + ": \"label\" must be a name or a whole number");
        };
    if (label.isEmpty()) {
      throw BadRowException.unusable(row.where() + ": \"label\" is empty");
    }
    return new LabelledText(text.id(), text.text(), label, row.where());
  }

  /** Returns the summaries of a row, whose dialogue may be missing; a summary may be empty. */
  Summaries summaries(Row row) {
    ColumnNames.Choice choice = columns.choose(row, true);
    List<String> keys = new ArrayList<>(choice == null ? List.of() : choice.targets());
    if (keys.isEmpty()) {
      keys.addAll(columns.summaries(row));
    }
    List<String> texts = DialogueParts.texts(row, keys);
    if (texts.isEmpty()) {
      throw BadRowException.unusable(
          "%s has no \"summary\" (nor \"summary1\"); its fields are: %s"
              .formatted(row.where(), row.fieldNames()));
    }
    boolean anything = texts.stream().anyMatch(text -> !text.isBlank());
    Object dialogue = choice == null ? null : row.fields().get(choice.text());
    return new Summaries(
        row.ownId(),
        dialogue == null
            ? null
            : Conversation.isConversation(dialogue)
                ? Conversation.of(row, choice.text()).prompt()
                : row.text(choice.text()),
        anything ? texts.stream().filter(text -> !text.isBlank()).toList() : List.of(""));
  }
}
