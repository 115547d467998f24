package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.precis.T5;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.server.models.ServedModels;
import dev.precis.tensor.DType;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.json.JsonMapper;

/**
 * Measures 32 clients of a server against one call that has all of their prompts, and the time to a
 * streamed token over HTTP against that in process. It needs a model of real size, {@code
 * -Dprecis.test.model=DIR}, and a machine that does nothing else.
 */
@Tag("soak")
@Timeout(1800)
class ThroughputTest {
  private static final String MODEL = "model";
  private static final int CLIENTS = 32;
  private static final int NEW_TOKENS = 32;
  private static final int ROUNDS = Integer.getInteger("precis.test.rounds", 5);
  private static final int WORDS = 120;

  private static String prompt(int number) {
    String[] words = {"we", "meet", "at", "the", "house", "and", "talk", "about", "time", "work"};
    StringBuilder text = new StringBuilder("summarize: ").append(number);
    for (int i = 0; i < WORDS; i++) {
      text.append(' ').append(words[(i * (number + 3) + i / 7) % words.length]);
    }
    return text.toString();
  }

  private static double median(double[] seconds) {
    double[] sorted = seconds.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private record Client(HttpClient http, URI address) {
    private HttpRequest request(String prompt, boolean stream) {
      String body =
          JsonMapper.shared()
              .writeValueAsString(
                  Map.of(
                      "model", MODEL,
                      "prompt", prompt,
                      "max_tokens", NEW_TOKENS,
                      "temperature", 0,
                      "stream", stream));
      return HttpRequest.newBuilder(address.resolve("/v1/completions"))
          .header("Content-Type", "application/json")
          .POST(BodyPublishers.ofString(body))
          .build();
    }

    int tokens(String prompt) throws Exception {
      HttpResponse<String> answer = http.send(request(prompt, false), BodyHandlers.ofString());
      assertEquals(200, answer.statusCode(), answer.body());
      return JsonMapper.shared().readTree(answer.body()).at("/usage/completion_tokens").asInt();
    }

    double secondsToFirstToken(String prompt) throws Exception {
      long start = System.nanoTime();
      HttpResponse<Stream<String>> answer =
          http.send(request(prompt, true), BodyHandlers.ofLines());
      long[] first = {0};
      answer
          .body()
          .forEach(
              line -> {
                if (first[0] == 0 && line.startsWith("data: {")) {
                  first[0] = System.nanoTime();
                }
              });
      assertTrue(first[0] != 0, "nothing was streamed");
      return (first[0] - start) * 1e-9;
    }
  }

  @Test
  void clientsTogetherAreAsFastAsOneCall() throws Exception {
    String folder = System.getProperty("precis.test.model");
    assumeTrue(folder != null, "no -Dprecis.test.model");
    T5.LoadOptions loading = new T5.LoadOptions().dtype(DType.BFLOAT16).maxBatchRows(CLIENTS);
    List<String> prompts = IntStream.range(0, CLIENTS).mapToObj(ThroughputTest::prompt).toList();
    GenerationOptions greedy = GenerationOptions.builder().maxNewTokens(NEW_TOKENS).build();
    try (ServedModels models = new ServedModels();
        HttpClient http = HttpClient.newHttpClient();
        ExecutorService callers = Executors.newVirtualThreadPerTaskExecutor()) {
      T5 t5 = T5.load(Path.of(folder), loading);
      models.add(MODEL, t5);
      try (Server server = Server.start(models, new ServerOptions())) {
        Client client = new Client(http, server.address());
        List<int[]> sources = prompts.stream().map(t5.tokenizer()::encode).toList();
        double[] served = new double[ROUNDS];
        double[] offline = new double[ROUNDS];
        double[] firstServed = new double[ROUNDS];
        double[] firstInProcess = new double[ROUNDS];
        // The first round, which is not kept, compiles.
        for (int round = -1; round < ROUNDS; round++) {
          long start = System.nanoTime();
          int wanted = 0;
          for (List<GeneratedTokens> each : t5.generateTokens(sources, greedy, CLIENTS, null)) {
            wanted += each.getFirst().tokens().length;
          }
          double inOneCall = (System.nanoTime() - start) * 1e-9;
          List<Callable<Integer>> calls = new ArrayList<>();
          prompts.forEach(each -> calls.add(() -> client.tokens(each)));
          start = System.nanoTime();
          int answered = 0;
          for (Future<Integer> each : callers.invokeAll(calls)) {
            answered += each.get();
          }
          double byClients = (System.nanoTime() - start) * 1e-9;
          assertEquals(wanted, answered, "tokens");
          start = System.nanoTime();
          long[] first = {0};
          t5.stream(
              prompts.getFirst(),
              greedy,
              piece -> first[0] = first[0] == 0 ? System.nanoTime() : first[0]);
          // A model whose tokens have no text streams nothing before its end, here as over HTTP.
          long heard = first[0] != 0 ? first[0] : System.nanoTime();
          double here = (heard - start) * 1e-9;
          double there = client.secondsToFirstToken(prompts.getFirst());
          if (round >= 0) {
            offline[round] = inOneCall;
            served[round] = byClients;
            firstInProcess[round] = here;
            firstServed[round] = there;
          }
        }
        double throughput = median(offline) / median(served);
        double first = median(firstServed) / median(firstInProcess);
        System.out.printf(
            Locale.ROOT,
            "%d clients %.3f s, one call %.3f s: %.3f; first token over HTTP %.4f s, in process"
                + " %.4f s: %.3f%n",
            CLIENTS,
            median(served),
            median(offline),
            throughput,
            median(firstServed),
            median(firstInProcess),
            first);
        assertTrue(throughput >= 0.9, "the clients' share of one call's speed is " + throughput);
        assertTrue(first <= 1.2, "over HTTP the first token takes times " + first);
      }
    }
  }
}
