package dev.precis.langchain4j;

import dev.langchain4j.model.language.LanguageModel;
import dev.langchain4j.model.output.Response;
import dev.precis.T5;
import dev.precis.generation.Generation;
import dev.precis.generation.GenerationCall;

/** A T5 as a model from text to text. Thread-safe; requests of several threads run in one batch. */
public final class PrecisLanguageModel implements LanguageModel {
  private final TextModel model;

  private PrecisLanguageModel(TextModel model) {
    this.model = model;
  }

  /** Returns a builder of a model on a T5, which stays the caller's. */
  public static Builder builder(T5 t5) {
    return new Builder(t5);
  }

  /** Collects the options. */
  public static final class Builder extends TextModelBuilder<Builder> {
    private Builder(T5 t5) {
      super(t5);
    }

    /** Returns the model. */
    public PrecisLanguageModel build() {
      return new PrecisLanguageModel(textModel());
    }
  }

  @Override
  public Response<String> generate(String text) {
    TextModel.Prompt prompt = model.prompt(text);
    try (GenerationCall call = model.submit(prompt, null)) {
      Generation generation = model.await(call);
      return Response.from(
          generation.text(), TextModel.usage(prompt, generation), TextModel.reason(generation));
    }
  }
}
