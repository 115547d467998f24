package dev.precis.io;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.exc.UnexpectedEndOfInputException;

/**
 * Explains in words why a text is not valid JSON. The parser's own messages are for programmers:
 * they name its switches and classes.
 */
final class JsonReason {
  private static final Pattern QUOTED = Pattern.compile("token '([^']{0,40})");
  private static final Pattern CHARACTER = Pattern.compile("character \\('(.)' \\(code");
  private static final Pattern KEY = Pattern.compile("property \"(.{0,60}?)\"");
  private static final Pattern LIMIT = Pattern.compile("maximum allowed \\((\\d+)");

  private JsonReason() {}

  /** Returns a clause that stands after "is not valid JSON: ". */
  static String of(JacksonException e) {
    String message = String.valueOf(e.getOriginalMessage());
    if (e instanceof StreamConstraintsException) {
      return limit(message);
    }
    if (e instanceof UnexpectedEndOfInputException) {
      return "it ends in the middle of a value";
    }
    if (message.startsWith("Non-standard token")) {
      return find(QUOTED, message, "such a token") + " is not a JSON value";
    }
    if (message.startsWith("Unrecognized token")) {
      return find(QUOTED, message, "a word") + " is not a JSON value; texts need double quotes";
    }
    if (message.startsWith("Duplicate")) {
      return "the key " + find(KEY, message, "of a value") + " stands twice in one object";
    }
    if (message.startsWith("Illegal unquoted character")) {
      return "a line break or control character inside a text is not escaped";
    }
    if (message.contains("escape")) {
      return "a backslash is followed by something that is not an escape";
    }
    if (message.contains("urrogate")) {
      return "a text has half a surrogate pair, which is no character";
    }
    if (message.contains("UTF-8")) {
      return "it is not UTF-8 text";
    }
    if (message.startsWith("Unexpected character") && !message.contains("numeric")) {
      return "the character " + find(CHARACTER, message, "there") + " was not expected";
    }
    if (message.startsWith("Unexpected close marker")) {
      return "a bracket is closed that was not opened";
    }
    if (message.matches("(?s).*(umeric|umber|digit|eroes|[Dd]ecimal|[Ee]xponent).*")) {
      return "a number is not written as JSON requires";
    }
    return "its syntax is wrong";
  }

  private static String limit(String message) {
    Matcher limit = LIMIT.matcher(message);
    String most = limit.find() ? limit.group(1) : "the limit";
    if (message.contains("nesting depth")) {
      return "it is nested deeper than " + most + " levels";
    }
    if (message.startsWith("Document length")) {
      return "it is longer than " + most + " bytes; data may also be one object a line (.jsonl)";
    }
    String what =
        message.startsWith("Number")
            ? "a number"
            : message.startsWith("Name") ? "a key" : "a value";
    return what + " is longer than " + most + " characters";
  }

  private static String find(Pattern pattern, String message, String otherwise) {
    Matcher matcher = pattern.matcher(message);
    return matcher.find() ? "'" + Printable.of(matcher.group(1)) + "'" : otherwise;
  }
}
