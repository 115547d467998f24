package dev.precis.data;

import dev.precis.io.Printable;
import java.util.ArrayList;
import java.util.List;

/** The text of a row and its summaries. */
final class DialogueParts {
  private DialogueParts() {}

  /**
   * Returns a dialogue and its summaries.
   *
   * @param needsSummary whether a row without a summary is a bad one
   */
  static Dialogue of(Row row, ColumnNames columns, boolean needsSummary) {
    ColumnNames.Choice choice = columns.choose(row, needsSummary);
    if (choice == null) {
      throw BadRowException.unreadable(
          "%s has no \"dialogue\" (nor \"text\" or \"prompt\"); its fields are: %s"
              .formatted(row.where(), row.fieldNames()));
    }
    Object value = row.fields().get(choice.text());
    List<String> summaries =
        texts(row, choice.targets()).stream().filter(text -> !text.isBlank()).toList();
    String text;
    boolean raw = choice.raw();
    if (value == null) {
      throw BadRowException.unusable(
          row.where() + ": \"" + Printable.of(choice.text()) + "\" is empty");
    } else if (Conversation.isConversation(value) && !choice.text().equals("dialogue")) {
      raw = true;
      Conversation conversation = Conversation.of(row, choice.text());
      boolean answered = choice.targets().isEmpty() && conversation.endsWithAnswer();
      if (answered) {
        String answer = conversation.messages().getLast().content();
        summaries = answer.isBlank() ? List.of() : List.of(answer);
        conversation = conversation.first(conversation.messages().size() - 1);
      }
      text = prompt(row, choice.text(), conversation);
    } else {
      text = row.nonBlank(choice.text(), "a dialogue");
    }
    if (choice.context() != null && row.has(choice.context())) {
      String context = row.bounded(choice.context(), "a dialogue");
      text = context.isBlank() ? text : text + "\n\n" + context;
    }
    if (needsSummary && summaries.isEmpty()) {
      throw BadRowException.unusable(noSummary(row, choice));
    }
    return new Dialogue(row.id(), text, summaries, row.topic(), raw);
  }

  private static String noSummary(Row row, ColumnNames.Choice choice) {
    return choice.targets().isEmpty()
        ? "%s has no summary to learn from or compare with; its fields are: %s"
            .formatted(row.where(), row.fieldNames())
        : "%s: \"%s\" is empty, so that there is no summary to learn from or compare with"
            .formatted(row.where(), Printable.of(choice.targets().getFirst()));
  }

  /**
   * Returns a conversation as a prompt.
   *
   * @throws BadRowException if nothing is said in it
   */
  static String prompt(Row row, String key, Conversation conversation) {
    String text = conversation.prompt();
    if (conversation.messages().stream().allMatch(each -> each.content().isBlank())) {
      throw BadRowException.unusable(row.where() + ": \"" + Printable.of(key) + "\" is empty");
    }
    return row.bounded(key, "a dialogue", text);
  }

  /** Returns all texts of some columns, each a text or a list of texts, blank ones included. */
  static List<String> texts(Row row, List<String> keys) {
    List<String> texts = new ArrayList<>();
    for (String key : keys) {
      switch (row.fields().get(key)) {
        case null -> {}
        case List<?> list when Conversation.isConversation(list) ->
            texts.add(Conversation.of(row, key).answer());
        case List<?> list ->
            list.forEach(item -> texts.add(row.checked(key, item, "must hold texts only")));
        default -> texts.add(row.text(key));
      }
    }
    return texts;
  }
}
