package stores

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"agent/bench/platform"
)

// startSandbox starts the local platform, in which versitygw is the S3 server.
func startSandbox(flags ...string) func(context.Context, *Store, Options) error {
	return func(ctx context.Context, s *Store, o Options) error {
		if o.Sandbox == "" {
			return errors.New("the sandbox's program is not named")
		}
		args := append([]string{"-token-life", o.Life.String()}, flags...)
		sb, err := platform.Start(context.WithoutCancel(ctx), o.Sandbox, filepath.Join(o.Dir, "sandbox"), args...)
		if err != nil {
			return err
		}
		s.sandbox, s.Endpoint, s.CA, s.Region = sb, sb.Endpoint(), sb.Env["AWS_CA_BUNDLE"], sb.Env["AWS_REGION"]
		s.Root = Keys{ID: sb.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"], Secret: sb.Env["AGENT_SANDBOX_ROOT_SECRET_KEY"]}
		s.token = func(ctx context.Context) (Keys, error) {
			env, err := sb.Token(ctx)
			return keysOf(env), err
		}
		s.Least = s.Life
		s.Version, err = sandboxVersion()
		return err
	}
}

// sandboxVersion is what the sandbox's module says of its server.
func sandboxVersion() (string, error) {
	root, err := platform.Root()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(root, "bench", "sandbox", "go.mod"))
	m := regexp.MustCompile(`github.com/versity/versitygw (v\S+)`).FindSubmatch(b)
	if err != nil || m == nil {
		return "", errors.Join(err, errors.New("the sandbox's go.mod does not name versitygw"))
	}
	return string(m[1]), nil
}

// minioLeast is the shortest life of a token that MinIO issues.
const minioLeast = 15 * time.Minute

func startMinIO(ctx context.Context, s *Store, o Options) error {
	at, err := freePort()
	if err != nil {
		return err
	}
	s.Endpoint, s.Life, s.Least, s.Version = "http://"+at, max(o.Life, minioLeast), minioLeast, builtAs("minio")
	s.token = s.assumeRole("arn:minio:iam:::role/any")
	env := []string{"HOME=" + o.Dir, "MINIO_ROOT_USER=" + s.Root.ID, "MINIO_ROOT_PASSWORD=" + s.Root.Secret, "MINIO_UPDATE=off", "MINIO_BROWSER=off"}
	return s.run(ctx, env, "minio", "server", "--quiet", "--address", at, filepath.Join(o.Dir, "disk"))
}

// startRclone serves a folder. It looks at the signature and at no token.
func startRclone(ctx context.Context, s *Store, o Options) error {
	at, err := freePort()
	if err != nil {
		return err
	}
	disk := filepath.Join(o.Dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		return err
	}
	s.Endpoint, s.Life, s.Version = "http://"+at, 0, builtAs("rclone")
	env := []string{"HOME=" + o.Dir, "RCLONE_CONFIG="}
	return s.run(ctx, env, "rclone", "serve", "s3", "--addr", at, "--auth-key", s.Root.ID+","+s.Root.Secret, disk)
}

// startMoto starts what Python programs are tested with. It is a store in memory
// that looks at no keys at all.
func startMoto(ctx context.Context, s *Store, o Options) error {
	at, err := freePort()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	s.Endpoint, s.Life, s.Version = "http://"+at, 0, motoVersion(ctx)
	return s.run(ctx, []string{"HOME=" + o.Dir, "PYENV_ROOT=" + os.Getenv("PYENV_ROOT")}, "moto_server", "-H", "127.0.0.1", "-p", port)
}

// motoVersion asks the Python beside moto_server, which has no option for it.
func motoVersion(ctx context.Context) string {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		return ""
	}
	out, err := exec.CommandContext(ctx, filepath.Join(filepath.Dir(path), "python"), "-c", "import moto; print(moto.__version__)").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
