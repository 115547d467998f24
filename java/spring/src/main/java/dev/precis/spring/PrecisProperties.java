package dev.precis.spring;

import java.nio.file.Path;
import java.util.List;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * The starter's properties, each with the prefix {@code precis}.
 *
 * @param model folder of a T5; absent: there is no chat model
 * @param classifier folder of a classifier; absent: there is no moderation model
 * @param template makes a prompt of a message, with {@code {dialogue}} in its place; absent: the
 *     message is the prompt
 * @param unwantedLabels labels of the classifier that flag a text; absent: those that are named as
 *     one of Spring AI's categories, such as {@code hate}
 * @param threshold probability above which a label flags a text; absent: 0.5
 * @param threads of the CPU; absent or 0: one for each core
 * @param device {@code cpu}, {@code cuda}, {@code cuda:1} or {@code auto}; absent: {@code cpu}
 */
@ConfigurationProperties("precis")
public record PrecisProperties(
    Path model,
    Path classifier,
    String template,
    List<String> unwantedLabels,
    Double threshold,
    int threads,
    String device) {
  /** Fills in the device. */
  public PrecisProperties {
    device = device == null ? "cpu" : device;
  }
}
