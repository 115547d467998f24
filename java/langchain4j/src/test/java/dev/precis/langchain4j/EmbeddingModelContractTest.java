package dev.precis.langchain4j;

import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.common.AbstractEmbeddingModelIT;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import dev.precis.T5;
import java.util.List;
import org.junit.jupiter.api.AfterAll;

/** LangChain4j's tests of embedding models. */
class EmbeddingModelContractTest extends AbstractEmbeddingModelIT {
  private final T5 t5 = ChatContract.load();

  @AfterAll
  void close() {
    t5.close();
  }

  @Override
  protected List<EmbeddingModel> models() {
    return List.of(new PrecisEmbeddingModel(t5, null));
  }

  @Override
  protected EmbeddingModel modelWith(EmbeddingModelListener listener) {
    return new PrecisEmbeddingModel(t5, null).addListener(listener);
  }

  @Override
  protected EmbeddingModel failingModelWith(EmbeddingModelListener listener) {
    return new PrecisEmbeddingModel(t5, "no such adapter").addListener(listener);
  }

  @Override
  protected boolean supportsInputTypeParameter() {
    return false;
  }

  @Override
  protected boolean supportsDimensionsParameter() {
    return false;
  }

  @Override
  protected boolean supportsImageInput() {
    return false;
  }
}
