package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.server.ServerRun.Answer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** {@code POST /v1/completions} and {@code /v1/chat/completions}, against the library's results. */
class CompletionsTest {
  private static final String PROMPT = "Anna: Lunch at one? Ben: Yes!";

  private static ServerRun run;

  @BeforeAll
  static void start() {
    run = new ServerRun(new ServerOptions());
  }

  @AfterAll
  static void stop() {
    run.close();
  }

  private static GeneratedTokens library(GenerationOptions options, String adapter) {
    GenerationRequest request =
        GenerationRequest.of(run.t5.tokenizer().encode(PROMPT), options).withAdapter(adapter);
    return run.t5.submit(request, null, null).await().getFirst().getFirst();
  }

  private static String text(GeneratedTokens tokens) {
    return run.t5.decode(tokens).text();
  }

  private static GenerationOptions.Builder options() {
    return run.t5.defaultOptions().with();
  }

  private static Answer complete(String fields) throws Exception {
    return run.post("/v1/completions", "{\"prompt\":\"" + PROMPT + "\"," + fields + "}");
  }

  @Test
  void greedyTextIsTheLibrarys() throws Exception {
    GeneratedTokens expected = library(options().maxNewTokens(9).build(), null);
    Answer answer = complete("\"model\":\"t5-tiny\",\"max_tokens\":9");
    assertEquals(200, answer.status(), answer.body());
    assertEquals("text_completion", answer.at("/object").asString());
    assertEquals(text(expected), answer.at("/choices/0/text").asString());
    assertEquals(expected.tokens().length, answer.at("/usage/completion_tokens").asInt());
    assertTrue(!text(expected).isBlank());
  }

  @Test
  void aSeedSamplesTheLibrarysText() throws Exception {
    GenerationOptions options =
        options()
            .sample(true)
            .temperature(0.9f)
            .topP(0.8f)
            .topK(0)
            .seed(7)
            .maxNewTokens(12)
            .build();
    Answer answer =
        complete(
            "\"model\":\"t5-tiny\",\"max_tokens\":12,\"temperature\":0.9,\"top_p\":0.8,\"seed\":7");
    assertEquals(text(library(options, null)), answer.at("/choices/0/text").asString());
  }

  @Test
  void anAdapterIsAModel() throws Exception {
    GenerationOptions options = options().maxNewTokens(12).build();
    Answer answer = complete("\"model\":\"tuned\",\"max_tokens\":12");
    assertEquals(text(library(options, "tuned")), answer.at("/choices/0/text").asString());
    assertNotEquals(text(library(options, null)), text(library(options, "tuned")));
  }

  @Test
  void severalPromptsHaveSeveralResultsEach() throws Exception {
    Answer answer =
        run.post(
            "/v1/completions",
            """
            {"model":"t5-tiny","prompt":["Hello","Good bye"],"n":2,"temperature":1,"seed":1,"max_tokens":5}
            """);
    assertEquals(4, answer.at("/choices").size(), answer.body());
    assertEquals(3, answer.at("/choices/3/index").asInt());
  }

  @Test
  void aStreamAddsUpToTheWholeText() throws Exception {
    String fields = "\"model\":\"t5-tiny\",\"max_tokens\":20,\"logprobs\":0";
    Answer whole = complete(fields);
    Answer stream =
        complete(fields + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    assertEquals(
        "text/event-stream; charset=utf-8",
        stream.response().headers().firstValue("Content-Type").orElse(""));
    StringBuilder text = new StringBuilder();
    StringBuilder tokens = new StringBuilder();
    int pieces = 0;
    String reason = "";
    List<JsonNode> events = stream.events();
    for (JsonNode event : events.subList(0, events.size() - 1)) {
      text.append(event.at("/choices/0/text").asString());
      for (JsonNode token : event.at("/choices/0/logprobs/tokens")) {
        tokens.append(token.asString());
      }
      pieces += event.at("/choices/0/text").asString().isEmpty() ? 0 : 1;
      reason = event.at("/choices/0/finish_reason").asString();
    }
    assertEquals(whole.at("/choices/0/text").asString(), text.toString());
    assertEquals(text.toString(), tokens.toString());
    assertEquals(whole.at("/choices/0/finish_reason").asString(), reason);
    assertEquals(whole.at("/usage"), events.getLast().at("/usage"));
    assertTrue(pieces > 3, stream.body());
  }

  @Test
  void logProbabilitiesAreTheLibrarys() throws Exception {
    GeneratedTokens expected = library(options().maxNewTokens(6).build(), null);
    JsonNode found =
        complete("\"model\":\"t5-tiny\",\"max_tokens\":6,\"logprobs\":0").at("/choices/0/logprobs");
    for (int i = 0; i < found.at("/token_logprobs").size(); i++) {
      assertEquals(expected.logProbabilities()[i], found.at("/token_logprobs/" + i).floatValue());
    }
    assertTrue(found.at("/token_logprobs").size() >= 5, found.toString());
  }

  @Test
  void alternativesAreTheMostProbableTokens() throws Exception {
    String fields = "\"model\":\"t5-tiny\",\"max_tokens\":6,\"temperature\":0,\"logprobs\":3";
    JsonNode whole = complete(fields).at("/choices/0/logprobs");
    int tokens = whole.at("/tokens").size();
    assertEquals(tokens, whole.at("/top_logprobs").size(), whole.toString());
    assertTrue(tokens >= 5, whole.toString());
    for (int i = 0; i < tokens; i++) {
      JsonNode found = whole.at("/top_logprobs/" + i);
      assertTrue(found.size() >= 1 && found.size() <= 4, found.toString());
      double chosen = whole.at("/token_logprobs/" + i).doubleValue();
      for (JsonNode each : found) {
        assertTrue(each.doubleValue() <= chosen + 1e-5, found.toString());
      }
      assertTrue(found.has(whole.at("/tokens/" + i).asString()), whole.toString());
    }
    List<JsonNode> streamed = new ArrayList<>();
    for (JsonNode event : complete(fields + ",\"stream\":true").events()) {
      event.at("/choices/0/logprobs/top_logprobs").forEach(streamed::add);
    }
    List<JsonNode> expected = new ArrayList<>();
    whole.at("/top_logprobs").forEach(expected::add);
    assertEquals(expected, streamed);
    assertTrue(complete(fields.replace("3", "0")).at("/choices/0/logprobs/top_logprobs").isNull());
  }

  @Test
  void aStopTextEndsTheTextBeforeIt() throws Exception {
    String whole = text(library(options().maxNewTokens(20).build(), null));
    String stop = whole.substring(whole.length() / 2, whole.length() / 2 + 3);
    String expected = whole.substring(0, whole.indexOf(stop));
    String fields =
        "\"model\":\"t5-tiny\",\"max_tokens\":20,\"stop\":["
            + tools.jackson.databind.json.JsonMapper.shared().writeValueAsString(stop)
            + "]";
    Answer answer = complete(fields);
    assertEquals(expected, answer.at("/choices/0/text").asString());
    assertEquals("stop", answer.at("/choices/0/finish_reason").asString());
    StringBuilder text = new StringBuilder();
    complete(fields + ",\"stream\":true")
        .events()
        .forEach(event -> text.append(event.at("/choices/0/text").asString()));
    assertEquals(expected, text.toString());
  }

  @Test
  void aChatIsItsLastMessageBehindTheInstructions() throws Exception {
    String messages =
        """
        "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Left out"},
          {"role":"assistant","content":"So is this."},
          {"role":"user","content":[{"type":"text","text":"Anna: Hi!"}]}]
        """;
    Answer chat =
        run.post(
            "/v1/chat/completions",
            "{\"model\":\"t5-tiny\",\"max_completion_tokens\":10,\"logprobs\":true,"
                + messages
                + "}");
    Answer prompt =
        run.post(
            "/v1/completions",
            "{\"model\":\"t5-tiny\",\"max_tokens\":10,\"prompt\":\"Be brief.\\n\\nAnna: Hi!\"}");
    assertEquals(200, chat.status(), chat.body());
    assertEquals("chat.completion", chat.at("/object").asString());
    assertEquals(
        prompt.at("/choices/0/text").asString(), chat.at("/choices/0/message/content").asString());
    assertTrue(chat.at("/choices/0/logprobs/content/0/logprob").doubleValue() <= 0);
    List<JsonNode> events =
        run.post(
                "/v1/chat/completions",
                "{\"model\":\"t5-tiny\",\"max_tokens\":10,\"stream\":true," + messages + "}")
            .events();
    assertEquals("assistant", events.getFirst().at("/choices/0/delta/role").asString());
    StringBuilder text = new StringBuilder();
    events.forEach(event -> text.append(event.at("/choices/0/delta/content").asString("")));
    assertEquals(prompt.at("/choices/0/text").asString(), text.toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "completions | {'prompt':'x','grammar':'y'} | 400 | grammar",
        "completions | {'prompt':'x','frequency_penalty':0.5} | 400 | frequency_penalty",
        "completions | {'prompt':'x','logprobs':6} | 400 | logprobs",
        "completions | {'prompt':'x','logprobs':-1} | 400 | logprobs",
        "completions | {'prompt':'x','logprobs':true} | 400 | logprobs",
        "completions | {'prompt':'x','echo':true} | 400 | echo",
        "completions | {'prompt':'x','n':0} | 400 | n",
        "completions | {'prompt':'x','n':2,'temperature':0} | 400 | n",
        "completions | {'prompt':'x','max_tokens':5000} | 400 | max_tokens",
        "completions | {'prompt':'x','temperature':-1} | 400 | temperature",
        "completions | {'prompt':'x','top_p':0} | 400 | top_p",
        "completions | {'prompt':'x','stop':['']} | 400 | stop",
        "completions | {'prompt':'x','stop':[]} | 400 | stop",
        "completions | {'prompt':7} | 400 | prompt",
        "completions | {'prompt':[]} | 400 | prompt",
        "completions | {'prompt':[1,99999999]} | 400 | prompt",
        "completions | {'prompt':['x',{}]} | 400 | prompt",
        "completions | {'max_tokens':3} | 400 | prompt",
        "completions | {'model':'roberta-tiny','prompt':'x'} | 404 | model",
        "completions | {'model':'../../etc/passwd','prompt':'x'} | 404 | model",
        "completions | {'prompt':'x','stream_options':{}} | 400 | stream_options",
        "chat/completions | {'messages':[]} | 400 | messages",
        "chat/completions | {'messages':[{'role':'assistant','content':'x'}]} | 400 | messages",
        "chat/completions | {'messages':[{'role':'tool','content':'x'}]} | 400 | messages",
        "chat/completions | {'messages':[{'role':'user','content':[{'type':'image_url'}]}]} | 400 |"
            + " messages",
        "chat/completions | {'messages':[{'role':'user','content':'x'}],'tools':[{}]} | 400 |"
            + " tools",
        "chat/completions | {'messages':[{'role':'user','content':'x'}],'top_logprobs':2} | 400 |"
            + " top_logprobs",
        "chat/completions | {'messages':[{'role':'user','content':'x'}],'logprobs':true,"
            + "'top_logprobs':21} | 400 | top_logprobs",
        "chat/completions |"
            + " {'messages':[{'role':'user','content':'x'}],'response_format':{'type':'json_object'}}"
            + " | 400 | response_format",
      })
  void whatCannotBeIsRefusedByName(String path, String json, int status, String parameter)
      throws Exception {
    String body = json.replace('\'', '"');
    if (!body.contains("\"model\"")) {
      body = "{\"model\":\"t5-tiny\"," + body.substring(1);
    }
    Answer answer = run.post("/v1/" + path, body);
    assertEquals(status, answer.status(), answer.body());
    assertEquals(parameter, answer.at("/error/param").asString());
    assertEquals("invalid_request_error", answer.at("/error/type").asString());
    assertTrue(answer.error().endsWith(".") || answer.error().endsWith("]."), answer.error());
  }

  @Test
  void neutralAndUnknownButHarmlessFieldsAreAccepted() throws Exception {
    Answer answer =
        complete(
            "\"model\":\"t5-tiny\",\"max_tokens\":2,\"user\":\"me\",\"frequency_penalty\":0,"
                + "\"presence_penalty\":0.0,\"logit_bias\":{},\"echo\":false,\"suffix\":null,\"best_of\":1");
    assertEquals(200, answer.status(), answer.body());
  }
}
