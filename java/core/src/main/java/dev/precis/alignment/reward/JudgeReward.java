package dev.precis.alignment.reward;

import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import java.util.Arrays;
import java.util.List;

/** Scores a completion by what a judge says of it and its prompt, as they are. */
public final class JudgeReward implements Reward {
  private final PairJudge judge;

  /** Makes a reward, which closes the judge. */
  public JudgeReward(PairJudge judge) {
    this.judge = judge;
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    double[] scores =
        judge.judge(
            completions.stream().map(each -> new TextPair(each.prompt(), each.text())).toList());
    return Arrays.stream(scores).mapToObj(each -> Score.of("judge", each)).toList();
  }

  @Override
  public void close() {
    judge.close();
  }
}
