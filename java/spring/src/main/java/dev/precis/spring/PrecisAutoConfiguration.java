package dev.precis.spring;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.text.PromptTemplate;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.moderation.ModerationModel;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.context.annotation.Bean;

/** Makes the models that the properties name; a bean of the application's own takes their place. */
@AutoConfiguration
@EnableConfigurationProperties(PrecisProperties.class)
public class PrecisAutoConfiguration {
  /** Loads the T5, which is closed with the context. */
  @Bean(destroyMethod = "close")
  @ConditionalOnMissingBean
  @ConditionalOnProperty("precis.model")
  T5 precisT5(PrecisProperties properties) {
    return T5.load(
        properties.model(),
        new T5.LoadOptions().threads(properties.threads()).device(properties.device()));
  }

  /** Loads the classifier, which is closed with the context. */
  @Bean(destroyMethod = "close")
  @ConditionalOnMissingBean
  @ConditionalOnProperty("precis.classifier")
  Classifier precisClassifier(PrecisProperties properties) {
    return Classifier.load(
        properties.classifier(),
        new Classifier.LoadOptions().threads(properties.threads()).device(properties.device()));
  }

  @Bean
  @ConditionalOnBean(T5.class)
  @ConditionalOnMissingBean(ChatModel.class)
  PrecisChatModel precisChatModel(T5 t5, PrecisProperties properties) {
    String template = properties.template();
    return new PrecisChatModel(
        t5, template == null ? PromptTemplate.RAW : PromptTemplate.of(template));
  }

  @Bean
  @ConditionalOnBean(T5.class)
  @ConditionalOnMissingBean(EmbeddingModel.class)
  PrecisEmbeddingModel precisEmbeddingModel(T5 t5) {
    return new PrecisEmbeddingModel(t5);
  }

  @Bean
  @ConditionalOnBean(Classifier.class)
  @ConditionalOnMissingBean(ModerationModel.class)
  PrecisModerationModel precisModerationModel(Classifier classifier, PrecisProperties properties) {
    return new PrecisModerationModel(
        classifier,
        properties.unwantedLabels(),
        properties.threshold() == null ? 0.5 : properties.threshold());
  }
}
