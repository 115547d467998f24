package dev.precis.langchain4j;

import dev.precis.T5;
import dev.precis.generation.GenerationOptions;
import dev.precis.text.PromptTemplate;

/**
 * Options that all models of text have.
 *
 * @param <B> the builder itself
 */
public abstract class TextModelBuilder<B extends TextModelBuilder<B>> {
  private final T5 t5;
  private String name;
  private PromptTemplate template = PromptTemplate.RAW;
  private GenerationOptions options;
  private String adapter;

  TextModelBuilder(T5 t5) {
    this.t5 = t5;
    name = t5.folder().getFileName().toString();
    options = t5.defaultOptions();
  }

  /** Names the model in responses; default: the name of its folder. */
  public B name(String name) {
    this.name = name;
    return self();
  }

  /**
   * Makes a prompt of a text, such as {@link PromptTemplate#DEFAULT} of a dialogue to be
   * summarized; default: the text is the prompt.
   */
  public B template(PromptTemplate template) {
    this.template = template;
    return self();
  }

  /** Sets what a request does not say of its own; default: the model's generation_config.json. */
  public B options(GenerationOptions options) {
    this.options = options;
    return self();
  }

  /** Answers with an adapter that {@link T5#addAdapter} has added under that name. */
  public B adapter(String adapter) {
    this.adapter = adapter;
    return self();
  }

  @SuppressWarnings("unchecked") // B is the class that extends this one
  private B self() {
    return (B) this;
  }

  final TextModel textModel() {
    return new TextModel(t5, name, template, options, adapter);
  }
}
