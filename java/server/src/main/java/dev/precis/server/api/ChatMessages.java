package dev.precis.server.api;

import dev.precis.server.http.HttpFailure;
import dev.precis.text.PromptTemplate;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/**
 * The messages of a chat. A T5 model reads one prompt and no conversation: the prompt is the last
 * user message, filled into the template, behind the text of the system's and developer's messages.
 * Earlier messages of user and assistant are left out.
 */
final class ChatMessages {
  private static final String FIELD = "messages";
  private static final int MAX_MESSAGES = 1000;

  private final JsonNode messages;

  /** Takes the value of {@code messages}; null: the request has none. */
  ChatMessages(JsonNode messages) {
    if (messages == null) {
      throw RequestFields.missing(FIELD);
    }
    if (!messages.isArray() || messages.isEmpty() || messages.size() > MAX_MESSAGES) {
      throw HttpFailure.badRequest(
          FIELD, "\"messages\" must be a list of 1 to %,d messages.".formatted(MAX_MESSAGES));
    }
    this.messages = messages;
  }

  /** Returns the prompt. */
  String prompt(PromptTemplate template) {
    List<String> instructions = new ArrayList<>();
    String question = null;
    for (int i = 0; i < messages.size(); i++) {
      String name = "\"messages\"[" + i + "]";
      JsonNode message = messages.get(i);
      if (!message.isObject()) {
        throw HttpFailure.badRequest(FIELD, name + " must be an object.");
      }
      JsonNode role = message.get("role");
      String of = role == null || !role.isString() ? "" : role.stringValue();
      boolean last = i == messages.size() - 1;
      switch (of) {
        case "system", "developer" -> instructions.add(text(name, message.get("content")));
        case "user" -> question = last ? text(name, message.get("content")) : null;
        case "assistant" -> {
          if (message.hasNonNull("tool_calls") || message.hasNonNull("function_call")) {
            throw noTools(name);
          }
        }
        case "tool", "function" -> throw noTools(name);
        default ->
            throw HttpFailure.badRequest(
                FIELD, name + " must have a \"role\": system, developer, user or assistant.");
      }
    }
    if (question == null) {
      throw HttpFailure.badRequest(FIELD, "The last of \"messages\" must be the user's.");
    }
    instructions.removeIf(String::isBlank);
    instructions.add(template.fill(question));
    return String.join("\n\n", instructions);
  }

  private static HttpFailure noTools(String name) {
    return HttpFailure.unsupported(
        FIELD, name + " is about a tool, but these models do not call functions.");
  }

  /** Returns the text of a message: one text, or parts that are texts. */
  private static String text(String name, JsonNode content) {
    if (content != null && content.isString()) {
      return content.stringValue();
    }
    if (content == null || !content.isArray() || content.isEmpty()) {
      throw HttpFailure.badRequest(
          FIELD, name + " must have a \"content\": a text, or a list of parts of type text.");
    }
    List<String> parts = new ArrayList<>();
    for (JsonNode part : content) {
      JsonNode type = part.get("type");
      JsonNode text = part.get("text");
      if (type == null || !type.isString() || !type.stringValue().equals("text")) {
        throw HttpFailure.unsupported(
            FIELD, name + " has a part that is no text, but these models read nothing else.");
      }
      if (text == null || !text.isString()) {
        throw HttpFailure.badRequest(FIELD, name + " has a part without \"text\".");
      }
      parts.add(text.stringValue());
    }
    return String.join("\n", parts);
  }
}
