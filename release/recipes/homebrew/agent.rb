class Agent < Formula
  desc "Sends directories to S3 under credentials that expire"
  homepage "<<.URL>>"
  version "<<.Number>>"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "<<.URL>>/<<.Archive.darwin_arm64>>"
      sha256 "<<.SHA256.darwin_arm64>>"
    end
    on_intel do
      url "<<.URL>>/<<.Archive.darwin_amd64>>"
      sha256 "<<.SHA256.darwin_amd64>>"
    end
  end

  on_linux do
    on_arm do
      url "<<.URL>>/<<.Archive.linux_arm64>>"
      sha256 "<<.SHA256.linux_arm64>>"
    end
    on_intel do
      url "<<.URL>>/<<.Archive.linux_amd64>>"
      sha256 "<<.SHA256.linux_amd64>>"
    end
  end

  def install
    bin.install "agent"
    man1.install Dir["man/man1/*.1"]
    bash_completion.install "completions/agent.bash" => "agent"
    zsh_completion.install "completions/_agent"
    fish_completion.install "completions/agent.fish"
    doc.install Dir["docs/*.md"], "THIRD-PARTY-NOTICES"
  end

  test do
    assert_match "agent ", shell_output("#{bin}/agent --version")
  end
end
