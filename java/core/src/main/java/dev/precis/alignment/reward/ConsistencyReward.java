package dev.precis.alignment.reward;

import dev.precis.evaluation.Consistency;
import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import java.util.ArrayList;
import java.util.List;

/**
 * Scores a completion's consistency with its prompt: the mean over its sentences of what a judge
 * says of each and the best chunk of the prompt ({@link Consistency}). An empty completion has 0.
 */
public final class ConsistencyReward implements Reward {
  private final PairJudge judge;
  private final Consistency rule;

  /**
   * Makes a reward, which closes the judge.
   *
   * @param chunkWords words of a chunk; {@link Consistency#CHUNK_WORDS} is usual
   */
  public ConsistencyReward(PairJudge judge, int chunkWords) {
    this.judge = judge;
    rule = new Consistency(judge, chunkWords);
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    List<TextPair> pairs =
        completions.stream().map(each -> new TextPair(each.prompt(), each.text())).toList();
    return rule.score(pairs).stream().map(each -> Score.of("consistency", each.score())).toList();
  }

  /** Checks that a sentence of the source gets more than one that contradicts it. */
  @Override
  public List<Probe> probes() {
    String source = "Anna: I sold my car on Monday. Ben: And I bought a new bicycle.";
    String better = "Anna sold her car on Monday.";
    String worse = "Ben sold a house in Paris on Friday.";
    List<Score> scores =
        checked(
            List.of(
                new Completion("probe", source, better, List.of()),
                new Completion("probe", source, worse, List.of())));
    List<Probe> probes = new ArrayList<>();
    probes.add(
        new Probe(
            "consistency", better, scores.getFirst().value(), worse, scores.getLast().value()));
    return probes;
  }

  @Override
  public void close() {
    judge.close();
  }
}
