package dev.precis.spring;

import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;

/** An application that prints an answer, for {@link FatJarTest}. */
@EnableAutoConfiguration
public class FatApplication {
  public static void main(String[] args) {
    try (var context = SpringApplication.run(FatApplication.class, args)) {
      Prompt prompt = new Prompt("Hello.", ChatOptions.builder().maxTokens(8).build());
      System.out.println(
          "answer: "
              + context.getBean(ChatModel.class).call(prompt).getResult().getOutput().getText());
    }
  }
}
