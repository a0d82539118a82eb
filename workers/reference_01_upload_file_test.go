// Mirrors "Usage: use the durable executor to enqueue tasks". In Go the definition of a task and
// its code are separate, and the id of the finalize is the parent's id followed by -finalize.
// Cancelling a finished execution returns ErrFinished.

package workers_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/durable-execution/durable/engine"
)

func Example_uploadFile() {
	type file struct {
		FilePath string `json:"filePath"`
	}
	type title struct {
		Title string `json:"title"`
	}
	type summary struct {
		Summary string `json:"summary"`
	}
	type upload struct {
		FilePath  string `json:"filePath"`
		UploadURL string `json:"uploadUrl"`
	}
	type uploaded struct {
		FilePath  string `json:"filePath"`
		UploadURL string `json:"uploadUrl"`
		FileSize  int    `json:"fileSize"`
	}
	type described struct {
		FilePath  string `json:"filePath"`
		UploadURL string `json:"uploadUrl"`
		FileSize  int    `json:"fileSize"`
		Title     string `json:"title"`
		Summary   string `json:"summary"`
	}

	extractFileTitle := engine.Define[file, title]("extractFileTitle", engine.Timeout(30*time.Second))
	summarizeFile := engine.Define[file, summary]("summarizeFile", engine.Timeout(30*time.Second)).
		ValidateInput(func(in file) (file, error) {
			if in.FilePath == "" {
				return in, errors.New("invalid file path")
			}
			return in, nil
		})
	uploadFile := engine.Define[upload, described]("uploadFile", engine.Timeout(time.Minute))

	ctx, client, stop := serve(
		engine.Bind(extractFileTitle, func(context.Context, file) (title, error) {
			// ... extract the file title
			return title{"File Title"}, nil
		}),
		engine.Bind(summarizeFile, func(context.Context, file) (summary, error) {
			// ... summarize the file
			return summary{"File summary"}, nil
		}),
		engine.BindParent(uploadFile, func(_ context.Context, in upload, children *engine.Children) (uploaded, error) {
			// ... upload the file to the given URL

			// Extract the file title and summarize the file in parallel.
			extractFileTitle.Spawn(children, file{in.FilePath})
			summarizeFile.Spawn(children, file{in.FilePath})
			return uploaded{in.FilePath, in.UploadURL, 100}, nil
		}, func(_ context.Context, j engine.Joined[upload, uploaded]) (described, error) {
			t, err1 := extractFileTitle.Result(j.Children).Get()
			s, err2 := summarizeFile.Result(j.Children).Get()
			return described{
				FilePath:  j.Output.FilePath,
				UploadURL: j.Output.UploadURL,
				FileSize:  j.Output.FileSize,
				Title:     t.Title,
				Summary:   s.Summary,
			}, errors.Join(err1, err2)
		}, engine.Timeout(time.Minute)))
	defer stop()

	handle, err := uploadFile.Enqueue(ctx, client, upload{"file.txt", "https://example.com/upload"})
	must(err)
	execution, err := handle.Get(ctx) // its present state
	must(err)
	fmt.Println(execution.Task, execution.ID == handle.ID())

	show(handle.Wait(ctx)) // only the output

	finished, err := client.Wait(ctx, handle.ID()) // the whole execution
	must(err)
	fmt.Println(finished.Status)

	err = handle.Cancel(ctx, "no longer wanted")
	fmt.Println(errors.Is(err, engine.ErrFinished))
	// Output:
	// uploadFile true
	// {
	//   "filePath": "file.txt",
	//   "uploadUrl": "https://example.com/upload",
	//   "fileSize": 100,
	//   "title": "File Title",
	//   "summary": "File summary"
	// }
	// completed
	// true
}
