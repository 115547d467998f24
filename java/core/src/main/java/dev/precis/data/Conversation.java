package dev.precis.data;

import dev.precis.io.Printable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A conversation with a model. T5 has no chat template, so it becomes a text by one rule: messages
 * of the system come first; a single message of the user stands as it is; of several, each begins
 * with {@code User:}, {@code Assistant:} or {@code Tool:}, and a prompt ends in {@code Assistant:}.
 * Blank lines separate them.
 */
record Conversation(List<Message> messages) {
  private static final String SEPARATOR = "\n\n";
  private static final String HUMAN = "\n\nHuman:";
  private static final String ASSISTANT = "\n\nAssistant:";

  /** Those who speak. */
  enum Role {
    SYSTEM("System"),
    USER("User"),
    ASSISTANT("Assistant"),
    TOOL("Tool");

    private final String label;

    Role(String label) {
      this.label = label;
    }
  }

  record Message(Role role, String content) {
    private String labelled() {
      return role.label + ": " + content;
    }
  }

  /** Copies the list. */
  Conversation {
    messages = List.copyOf(messages);
  }

  /** Returns true if a field's value is a list of messages, well-formed or not. */
  static boolean isConversation(Object value) {
    return value instanceof List<?> list && !list.isEmpty() && list.getFirst() instanceof Map;
  }

  /**
   * Returns the conversation in a field: objects with {@code role} and {@code content}, or
   * ShareGPT's {@code from} and {@code value}.
   *
   * @throws BadRowException if it is not well-formed
   */
  static Conversation of(Row row, String key) {
    List<Message> messages = new ArrayList<>();
    long length = 0;
    for (Object each : (List<?>) row.fields().get(key)) {
      if (!(each instanceof Map<?, ?> message)) {
        throw wrong(row, key, "must hold messages only");
      }
      boolean shareGpt = message.get("role") == null && message.get("from") != null;
      Role role = role(row, key, message.get(shareGpt ? "from" : "role"));
      String content = content(row, key, message.get(shareGpt ? "value" : "content"));
      length += content.length();
      if (length > Row.MAX_CHARACTERS) {
        throw wrong(row, key, "has more than " + Row.MAX_CHARACTERS + " characters");
      }
      messages.add(new Message(role, row.bounded(key, "a message", content)));
    }
    return new Conversation(messages);
  }

  private static Role role(Row row, String key, Object role) {
    return switch (role instanceof String name ? name.toLowerCase(Locale.ROOT) : "") {
      case "system", "developer" -> Role.SYSTEM;
      case "user", "human" -> Role.USER;
      case "assistant", "gpt", "model", "bot", "chatbot" -> Role.ASSISTANT;
      case "tool", "function", "observation" -> Role.TOOL;
      default ->
          throw wrong(
              row,
              key,
              role instanceof String name
                  ? "has a message with the role '"
                      + Printable.of(name)
                      + "' instead of system, user, assistant or tool"
                  : "has a message without a role");
    };
  }

  /** Returns the text of a message: a text, or a list of parts that are texts. */
  private static String content(Row row, String key, Object content) {
    if (content instanceof List<?> parts) {
      return parts.stream()
          .map(
              part ->
                  part instanceof Map<?, ?> map && map.get("text") instanceof String text
                      ? row.checked(key, text, "")
                      : row.checked(key, null, "has a message with something else than text"))
          .collect(Collectors.joining());
    }
    return row.checked(key, content, "has a message without a text");
  }

  private static BadRowException wrong(Row row, String key, String what) {
    return BadRowException.unreadable(row.where() + ": \"" + Printable.of(key) + "\" " + what);
  }

  /** Returns the conversation of a text as hh-rlhf writes it; empty if it is another text. */
  static Optional<Conversation> ofTranscript(String text) {
    if (!text.startsWith(HUMAN) || !text.contains(ASSISTANT)) {
      return Optional.empty();
    }
    List<Message> messages = new ArrayList<>();
    int at = 0;
    while (at < text.length()) {
      boolean human = text.startsWith(HUMAN, at);
      int from = at + (human ? HUMAN : ASSISTANT).length();
      int nextHuman = text.indexOf(HUMAN, from);
      int nextAssistant = text.indexOf(ASSISTANT, from);
      int to =
          nextHuman < 0 || nextAssistant < 0
              ? Math.max(nextHuman, nextAssistant)
              : Math.min(nextHuman, nextAssistant);
      at = to < 0 ? text.length() : to;
      messages.add(
          new Message(human ? Role.USER : Role.ASSISTANT, text.substring(from, at).strip()));
    }
    return Optional.of(new Conversation(messages));
  }

  /** Returns the number of messages that both begin with. */
  int commonStart(Conversation other) {
    int most = Math.min(messages.size(), other.messages.size());
    int common = 0;
    while (common < most && messages.get(common).equals(other.messages.get(common))) {
      common++;
    }
    return common;
  }

  Conversation first(int count) {
    return new Conversation(messages.subList(0, count));
  }

  Conversation without(int count) {
    return new Conversation(messages.subList(count, messages.size()));
  }

  Conversation followedBy(Conversation other) {
    List<Message> all = new ArrayList<>(messages);
    all.addAll(other.messages);
    return new Conversation(all);
  }

  boolean endsWithAnswer() {
    return messages.size() > 1 && messages.getLast().role == Role.ASSISTANT;
  }

  /** Returns the text of a prompt. */
  String prompt() {
    List<String> parts = new ArrayList<>();
    List<Message> spoken = new ArrayList<>();
    for (Message message : messages) {
      if (message.role == Role.SYSTEM) {
        parts.add(message.content);
      } else {
        spoken.add(message);
      }
    }
    if (spoken.size() == 1 && spoken.getFirst().role == Role.USER) {
      parts.add(spoken.getFirst().content);
    } else {
      spoken.forEach(message -> parts.add(message.labelled()));
      if (!spoken.isEmpty() && spoken.getLast().role != Role.ASSISTANT) {
        parts.add(Role.ASSISTANT.label + ":");
      }
    }
    return String.join(SEPARATOR, parts);
  }

  /** Returns the text of an answer: its first message stands as it is. */
  String answer() {
    return messages.isEmpty()
        ? ""
        : messages.getFirst().content
            + without(1).messages.stream()
                .map(message -> SEPARATOR + message.labelled())
                .collect(Collectors.joining());
  }
}
