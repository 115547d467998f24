package dev.precis.cli.serve;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.ListenOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "serve",
    header = "Serves models over HTTP, in the form of OpenAI's API.",
    description = {
      "Answers until it is interrupted; the client libraries of OpenAI work with it as they are."
          + " Requests of many clients are decoded in one batch.",
      "",
      "POST /v1/completions         generates for whole prompts",
      "POST /v1/chat/completions    for the last user message",
      "POST /v1/embeddings          means of the encoder's states",
      "POST /v1/moderations         probabilities of a classifier's labels",
      "POST /v1/rerank              scores of a classifier with one logit",
      "POST /v1/tokenize            token IDs",
      "GET  /v1/models  /health/live  /health/ready  /metrics",
      "GET  /                       a page to try a model on",
      "",
      "The server listens on this machine alone unless --host says otherwise; another address needs"
          + " a key that clients must send, and should have --tls-certificate. On SIGTERM it"
          + " refuses new requests and completes those that it has accepted."
    },
    footer = {
      "",
      "Examples:",
      "  precis serve --model google/flan-t5-base",
      "  curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' \\",
      "      -d '{\"prompt\": \"Translate to German: Hello!\", \"max_tokens\": 40}'",
      "  precis serve --model base=google/flan-t5-base --adapter mails=run/adapter \\",
      "      --model facebook/roberta-hate-speech-dynabench-r4-target",
      "  precis serve --model my-model --host 0.0.0.0 --port 8443 --api-key-file key \\",
      "      --tls-certificate cert.pem --tls-key key.pem"
    })
public final class ServeCommand extends BaseCommand {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "[NAME=]MODEL[+ADAPTER]...",
      description =
          "A T5 model or a classifier: a folder, or a hub ID that was downloaded. Requests choose"
              + " it by NAME (default: the folder's name). A T5 model is loaded with its PEFT"
              + " adapters, which can be of each kind. Repeat the option to serve several.")
  private List<String> models = List.of();

  @Option(
      names = "--adapter",
      paramLabel = "[MODEL:]NAME=ADAPTER",
      description =
          "A LoRA adapter that requests choose by NAME in place of its model's; MODEL is needed if"
              + " there are several. Repeat the option to serve several: they share the weights.")
  private List<String> adapters = List.of();

  @Option(
      names = "--template",
      paramLabel = "T",
      description =
          "What a chat's last message is filled into, as in generate: a file or a text with"
              + " {dialogue} (default: the message is the whole prompt).")
  private String template;

  @Option(
      names = "--moderation-label",
      paramLabel = "LABEL",
      description =
          "A label that flags a text in moderations; repeat it for several (default: hate, toxic,"
              + " toxicity, offensive, as far as the classifier has them).")
  private List<String> moderationLabels = List.of();

  @Mixin private ListenOptions listen = new ListenOptions();

  @Option(
      names = "--api-key-file",
      paramLabel = "FILE",
      description =
          "A file with the key that clients must send (default: the environment's PRECIS_API_KEY,"
              + " if it is set).")
  private Path apiKeyFile;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "1024",
      description = "The most new tokens that a request may ask for (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--max-prompt-tokens",
      paramLabel = "N",
      defaultValue = "4096",
      description = "The longest prompt, in tokens (default: ${DEFAULT-VALUE}).")
  private int maxPromptTokens;

  @Option(
      names = "--max-waiting",
      paramLabel = "N",
      defaultValue = "256",
      description =
          "Requests that wait for a model; others get status 429 (default: ${DEFAULT-VALUE}).")
  private int maxWaiting;

  @Option(
      names = "--max-connections",
      paramLabel = "N",
      defaultValue = "1024",
      description = "The most connections at a time (default: ${DEFAULT-VALUE}).")
  private int maxConnections;

  @Option(
      names = "--max-body-size",
      paramLabel = "BYTES",
      defaultValue = "4194304",
      description = "The longest body of a request (default: ${DEFAULT-VALUE}).")
  private int maxBodySize;

  @Option(
      names = "--request-timeout",
      paramLabel = "SECONDS",
      defaultValue = "300",
      description = "The longest time of a request (default: ${DEFAULT-VALUE}).")
  private int requestTimeout;

  @Option(
      names = "--client-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "The longest wait for a client to send its request or to take a piece of a response"
              + " (default: ${DEFAULT-VALUE}).")
  private int clientTimeout;

  @Option(
      names = "--drain-timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description =
          "The longest wait for accepted requests after SIGTERM (default: ${DEFAULT-VALUE}).")
  private int drainTimeout;

  @Override
  public Integer call() {
    listen.check(this);
    requireAtLeast(1, "--max-tokens", maxTokens);
    requireAtLeast(2, "--max-prompt-tokens", maxPromptTokens);
    requireAtLeast(1, "--max-waiting", maxWaiting);
    requireAtLeast(1, "--max-connections", maxConnections);
    requireAtLeast(1024, "--max-body-size", maxBodySize);
    requireAtLeast(1, "--request-timeout", requestTimeout);
    requireAtLeast(1, "--client-timeout", clientTimeout);
    requireAtLeast(0, "--drain-timeout", drainTimeout);
    try {
      // The only class of the command line that needs those of the server, which are on the class
      // path of this command alone.
      return new ServeRun(this).serve();
    } catch (NoClassDefFoundError e) {
      throw new InvalidInputException(
          "The class %s is missing: start 'precis serve' by its launcher, or add precis-server to the class path"
              .formatted(e.getMessage()),
          e);
    }
  }

  List<String> models() {
    return models;
  }

  List<String> adapters() {
    return adapters;
  }

  /** Returns the template of chats; null: none was given. */
  PromptTemplate template() {
    if (template == null) {
      return null;
    }
    return template.contains("{")
        ? PromptTemplate.of(template.replace("\\n", "\n"))
        : PromptTemplate.read(Path.of(template));
  }

  List<String> moderationLabels() {
    return moderationLabels;
  }

  ListenOptions listen() {
    return listen;
  }

  Path apiKeyFile() {
    return apiKeyFile;
  }

  int maxTokens() {
    return maxTokens;
  }

  int maxPromptTokens() {
    return maxPromptTokens;
  }

  int maxWaiting() {
    return maxWaiting;
  }

  int maxConnections() {
    return maxConnections;
  }

  int maxBodySize() {
    return maxBodySize;
  }

  int requestTimeout() {
    return requestTimeout;
  }

  int clientTimeout() {
    return clientTimeout;
  }

  int drainTimeout() {
    return drainTimeout;
  }
}
