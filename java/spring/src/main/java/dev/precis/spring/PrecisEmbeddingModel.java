package dev.precis.spring;

import dev.precis.T5;
import java.util.ArrayList;
import java.util.List;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.embedding.EmbeddingResponseMetadata;

/**
 * A T5 as Spring AI's embedding model: the mean of its encoder's last states, scaled to length 1.
 * Thread-safe.
 */
public final class PrecisEmbeddingModel implements EmbeddingModel {
  private final T5 t5;

  /**
   * Makes a model.
   *
   * @param t5 stays the caller's
   */
  public PrecisEmbeddingModel(T5 t5) {
    this.t5 = t5;
  }

  @Override
  public EmbeddingResponse call(EmbeddingRequest request) {
    List<int[]> sources = new ArrayList<>();
    int tokens = 0;
    for (String text : request.getInstructions()) {
      sources.add(t5.tokenizer().encode(text));
      tokens += sources.getLast().length;
    }
    List<Embedding> embeddings = new ArrayList<>();
    for (float[] vector : t5.embedTokens(sources, null)) {
      embeddings.add(new Embedding(normalized(vector), embeddings.size()));
    }
    return new EmbeddingResponse(
        embeddings,
        new EmbeddingResponseMetadata(
            t5.folder().getFileName().toString(), new DefaultUsage(tokens, 0)));
  }

  private static float[] normalized(float[] vector) {
    double squares = 0;
    for (float each : vector) {
      squares += (double) each * each;
    }
    double scale = squares == 0 ? 0 : 1 / Math.sqrt(squares);
    for (int i = 0; i < vector.length; i++) {
      vector[i] *= (float) scale;
    }
    return vector;
  }

  @Override
  public float[] embed(Document document) {
    return embed(getEmbeddingContent(document));
  }

  @Override
  public int dimensions() {
    return t5.config().dModel();
  }
}
