package dev.precis.server.api;

import java.util.List;
import tools.jackson.core.JsonGenerator;

/** The JSON of one endpoint's responses. */
interface ResponseForm {
  /** Returns the beginning of the ids. */
  String idPrefix();

  /** Returns the kind of a whole response, as OpenAI names it. */
  String object();

  /** Returns the kind of a piece of a stream, as OpenAI names it. */
  String pieceObject();

  /** Returns true if a stream begins with a piece without text for each result. */
  boolean announces();

  /** Writes the text of a whole result, inside its choice. */
  void writeText(JsonGenerator json, String text);

  /**
   * Writes a piece of a result, inside its choice.
   *
   * @param first whether it is the announcement of the result
   */
  void writePiece(JsonGenerator json, String text, boolean first);

  /** Writes the log-probabilities of tokens, as the value of {@code logprobs}. */
  void writeLogProbabilities(JsonGenerator json, List<ResultText.Token> tokens);
}
