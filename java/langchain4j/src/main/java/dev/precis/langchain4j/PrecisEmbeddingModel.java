package dev.precis.langchain4j;

import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.model.output.TokenUsage;
import dev.precis.T5;
import java.util.ArrayList;
import java.util.List;

/**
 * A T5 as an embedding model: the mean of its encoder's last states, scaled to length 1. Texts of
 * similar meaning have similar directions, the more so the better the T5 was trained on such texts.
 * Thread-safe.
 */
public final class PrecisEmbeddingModel implements EmbeddingModel {
  private final T5 t5;
  private final String adapter;

  /**
   * Makes a model.
   *
   * @param t5 stays the caller's
   * @param adapter name of an adapter that the T5 keeps; null: its default ones
   */
  public PrecisEmbeddingModel(T5 t5, String adapter) {
    this.t5 = t5;
    this.adapter = adapter;
  }

  @Override
  public Response<List<Embedding>> embedAll(List<TextSegment> segments) {
    List<int[]> sources = new ArrayList<>();
    int tokens = 0;
    for (TextSegment segment : segments) {
      sources.add(t5.tokenizer().encode(segment.text()));
      tokens += sources.getLast().length;
    }
    List<Embedding> embeddings = new ArrayList<>();
    for (float[] vector : t5.embedTokens(sources, adapter)) {
      Embedding embedding = Embedding.from(vector);
      embedding.normalize();
      embeddings.add(embedding);
    }
    return Response.from(embeddings, new TokenUsage(tokens));
  }

  @Override
  public int dimension() {
    return t5.config().dModel();
  }

  @Override
  public String modelName() {
    return t5.folder().getFileName().toString();
  }
}
