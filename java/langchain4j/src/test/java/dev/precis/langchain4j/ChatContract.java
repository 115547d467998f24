package dev.precis.langchain4j;

import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.precis.T5;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.TokenRules;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The model that LangChain4j's own tests of chat models run with. */
final class ChatContract {
  private static final GenerationOptions OPTIONS =
      GenerationOptions.builder().maxNewTokens(40).build();
  private static final String ANSWER = "berlin"; // the tiny vocabulary has no capital B

  private ChatContract() {}

  static T5 load() {
    Path folder = Path.of("../core/src/test/resources/fixtures/t5-tiny");
    return T5.load(folder, new T5.LoadOptions().dtype(DType.FLOAT32).threads(1));
  }

  /** Sets the defaults of a model, as far as a T5 has them. */
  static <B extends TextModelBuilder<B>> B with(B builder, ChatRequestParameters parameters) {
    GenerationOptions.Builder options = OPTIONS.with();
    if (parameters.maxOutputTokens() != null) {
      options.maxNewTokens(parameters.maxOutputTokens());
    }
    if (parameters.temperature() != null) {
      options.sample(true).temperature(parameters.temperature().floatValue());
    }
    if (parameters.topP() != null) {
      options.topP(parameters.topP().floatValue());
    }
    return builder.options(options.build());
  }

  /** Returns options whose every text is the capital of Germany, which the tests ask for. */
  static GenerationOptions knowing(T5 t5) {
    int[] tokens = t5.tokenizer().encode(ANSWER); // with the end token
    List<TokenRules.SequenceBias> chain = new ArrayList<>();
    chain.add(new TokenRules.SequenceBias(List.of(tokens[0]), 1000));
    for (int i = 1; i < tokens.length; i++) {
      chain.add(new TokenRules.SequenceBias(List.of(tokens[i - 1], tokens[i]), 10_000));
    }
    return OPTIONS
        .with()
        .tokenRules(
            new TokenRules(chain, 1, 0, List.of(), null, List.of(), null, List.of(), List.of()))
        .build();
  }

  /** Returns options that refuse every prompt. */
  static GenerationOptions refusing() {
    return OPTIONS.with().maxSourceTokens(1).build();
  }
}
